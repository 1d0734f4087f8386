package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Prometheus itself judges the alerting rules and the dashboard in docs, by what a
// real Caddy says to which several bad things happen. It is a module of its own.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	dir := metricsScrapes(t)
	for _, command := range [][]string{{"vet", "."}, {"test", "-count=1", "-v", "."}} {
		cmd := exec.Command("go", command...)
		cmd.Dir = "prometheus"
		cmd.Env = append(os.Environ(), "SCRAPES="+dir, "ALERTS="+strings.Join([]string{
			"TokenRevocationChecksUnavailable", "TokenRevocationsFailing", "TokenRevocationStoreErrors",
			"TokenRevocationAuthenticationFailures", "TokenRevocationLimited", "TokenRevocationShareUsedUp",
			"TokenRevocationClusterStale", "TokenRevocationClusterAway",
		}, " "))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(command, " "), err, out)
		}
		if strings.Contains(string(out), "SKIP") {
			t.Errorf("something was left out:\n%s", out)
		}
	}
}

// metricsScrapes scrapes a Caddy before, between and after its traffic, into the
// files of a directory.
func metricsScrapes(t *testing.T) (dir string) {
	dir = t.TempDir()
	scrapes := 0
	n := startNATS(t)
	// A busy machine makes nobody stale before the engine is gone.
	config := "store bolt STORE\n\t\tcache 4KiB\n\t\tmax_staleness 10s\n\t\tcluster nats " + n.url
	c := start(t, limited("", ""), newUpstream(t))
	imported := metricsImport(t, c)
	c.kill(syscall.SIGTERM)
	c.launch(strings.Replace(limited("", ""), "store bolt STORE", config, 1))
	c.levelled(t)
	waitFor(t, time.Minute, func() error { // else it would go on between the scrapes
		if sent := c.scrape(t).values["cluster_repaired_records_total"]; sent < metricsImported {
			return fmt.Errorf("%v of %d records have been sent to the cluster", sent, metricsImported)
		}
		return nil
	})
	c.limitRecords(t, 1, 1)
	scrape := func() {
		path := filepath.Join(dir, fmt.Sprint(scrapes, ".txt"))
		if err := os.WriteFile(path, []byte(c.scrape(t).text), 0o600); err != nil {
			t.Fatal(err)
		}
		scrapes++
	}
	scrape()
	crowd := newCrowd(t, c, 4)
	for range 1000 { // of which some are timed
		if status, err := crowd.get("alive", false); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
	}
	revoked := metricsRevocations(t, c)
	scrape()
	for _, token := range revoked {
		for range 3 {
			c.bearer(t, token)
		}
	}
	a := asker{t, c, stranger(t), nil}
	for range 150 { // beyond its rate, and for the other beyond its share
		a.ask("backend", "backend-secret")
		a.ask("other", "other-secret")
	}
	for range 150 {
		asker{t, c, stranger(t), nil}.ask("backend", "wrong")
	}
	scrape()
	if err := os.Truncate(c.names.Replace("STORE"), 0); err != nil {
		t.Fatal(err)
	}
	for _, token := range imported {
		c.bearer(t, token)
	}
	asker{t, c, stranger(t), nil}.ask("webapp", "")
	eventually(t, func() error {
		if c.scrape(t).values[`revocations_total{result="failed",way="endpoint"}`] == 0 {
			return fmt.Errorf("no revocation has failed")
		}
		return nil
	})
	n.kill(syscall.SIGKILL)
	waitFor(t, time.Minute, func() error {
		if now := c.scrape(t).values; now["cluster_stale"] != 1 || now["cluster_level"] != 0 {
			return fmt.Errorf("the node does not say that there is no word")
		}
		return nil
	})
	scrape()
	return dir
}

const metricsImported = 2000

// metricsImport revokes so many tokens at once that they are not in memory, as what
// has come in last is, and returns some of them.
func metricsImport(t *testing.T, c *caddy) (tokens []string) {
	var lines strings.Builder
	for i := range metricsImported {
		tokens = append(tokens, fmt.Sprint("imported|", i))
		_, _ = fmt.Fprintf(&lines, "{\"token\":%q}\n", tokens[i])
	}
	newAdmin(t, c).imports(t, http.StatusOK, "", lines.String())
	return tokens[:200]
}

// metricsRevocations revokes tokens as a public client from several addresses.
func metricsRevocations(t *testing.T, c *caddy) (tokens []string) {
	for range 20 {
		a := asker{t, c, stranger(t), nil}
		for range 3 {
			got, token := a.ask("webapp", "")
			if got.status != http.StatusOK {
				t.Fatal(got)
			}
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// limitRecords sets how many live records a client may have, by its number in the
// configuration.
func (c *caddy) limitRecords(t *testing.T, client, records int) {
	t.Helper()
	at := url.URL{Scheme: "http", Host: c.admin, Path: fmt.Sprintf("/config/apps/token_revocation/clients/%d/max_records", client)}
	request, err := http.NewRequest(http.MethodPost, at.String(), strings.NewReader(fmt.Sprint(records)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	if a := do(t, request); a.status != http.StatusOK {
		t.Fatal(a)
	}
	if err := c.settle(); err != nil {
		t.Fatal(err)
	}
}
