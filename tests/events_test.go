package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// eventsBinary is the Caddy under test with handlers of events.
var eventsBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "withevents")
	out, err := exec.Command("go", "build", raceFlag, "-o", path, "./withevents").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building Caddy with handlers of events: %w: %s", err, out)
	}
	return path, nil
})

// eventsCaddy prepares a Caddy that has handlers of events.
func eventsCaddy(t *testing.T) *caddy {
	t.Helper()
	path, err := eventsBinary()
	if err != nil {
		t.Fatal(err)
	}
	c := newCaddy(t, t.TempDir(), newUpstream(t))
	c.wrapper = []string{"sh", "-c", `binary=$0; shift; exec "$binary" "$@"`, path}
	return c
}

// eventsSite is a site with a subscription to all events of the app.
func eventsSite(caddyfile string, handlers ...string) string {
	var on strings.Builder
	for _, handler := range handlers {
		on.WriteString("\t\ton token_revoked " + handler + "\n\t\ton token_restored " + handler + "\n")
	}
	return strings.Replace(caddyfile, "\tauto_https off\n", "\tauto_https off\n\tevents {\n"+on.String()+"\t}\n", 1)
}

const eventsWrite = "write STORE.events"

// event is a line that the handler write has written.
type event struct {
	Name   string `json:"name"`
	Origin string `json:"origin"`
	Data   struct {
		Way          string `json:"way"`
		Kind         string `json:"kind"`
		Digest       string `json:"digest"`
		By           string `json:"by"`
		Operator     bool   `json:"operator"`
		Reason       string `json:"reason"`
		Issuer       string `json:"issuer"`
		Value        string `json:"value"`
		IssuedBefore string `json:"issued_before"`
		RevokedAt    string `json:"revoked_at"`
		Expires      string `json:"expires"`
		Version      uint64 `json:"version"`
	} `json:"data"`
}

// events are those so far.
func (c *caddy) events(t *testing.T) (list []event) {
	t.Helper()
	written, err := os.ReadFile(c.names.Replace("STORE.events"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(written) {
		var e event
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		list = append(list, e)
	}
	return list
}

// There is an event for each record that refuses, before the revocation is
// answered, and it says what the audit log says.
func TestEvents(t *testing.T) {
	as, c := newAuthority(t), eventsCaddy(t)
	c.launch(auditSite(eventsSite(judgedConfig("issuer "+as.URL, "revoke session"), eventsWrite)))
	for n := 1; n <= 20; n++ {
		c.revoke(t, as.token(claimSet{"sid": fmt.Sprint("s-", n)}))
		if got := len(c.events(t)); got != 2*n {
			t.Fatalf("%d events of %d revocations of a token and its session", got, n)
		}
		if a := c.post(t, url.Values{"token": {newToken()}}, "backend", "wrong"); a.status != http.StatusUnauthorized {
			t.Fatalf("%d", a.status)
		}
	}
	lines := c.auditLines(t)
	for i, e := range c.events(t) {
		l, d := lines[i], &e.Data
		if e.Name != "token_revoked" || e.Origin != "token_revocation" || d.Way != l.Way || d.Kind != l.Kind || d.Digest != l.Digest ||
			d.By != l.By || d.Operator != l.Operator || d.Reason != l.Reason || d.Issuer != l.Issuer || d.Value != l.Value || d.IssuedBefore != "" {
			t.Errorf("the event is %+v\nand the line %+v", e, l)
		}
		expires, err := time.Parse(time.RFC3339, d.Expires)
		if err != nil || !expires.Equal(l.Expires) {
			t.Errorf("expires %q, want %s", d.Expires, l.Expires)
		}
		if at, err := time.Parse(time.RFC3339, d.RevokedAt); err != nil || time.Since(at) > time.Minute {
			t.Errorf("revoked at %q", d.RevokedAt)
		}
	}
}

// Whatever a handler does, the revocation is durable, enforced and answered, and
// later events have their turn. The handler that gets stuck holds up nobody for
// ever, and does not pile up.
func TestEventsMisbehave(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]string{
		"panic": "a handler of events has panicked",
		"fail":  "a handler that fails",
		"abort": `"aborted":true`,
	} {
		t.Run(how, func(t *testing.T) {
			c := eventsCaddy(t)
			c.launch(eventsSite(siteWith(), eventsWrite, "misbehave "+how))
			for n := 1; n <= 3; n++ {
				token := newToken()
				c.revoke(t, token)
				c.wants(t, http.StatusUnauthorized, token)
				if got := len(c.events(t)); got != n {
					t.Errorf("%d events of %d revocations", got, n)
				}
			}
			eventually(t, func() error {
				if n := strings.Count(c.logs.String(), want); n != 3 {
					return fmt.Errorf("the log says %d times %q", n, want)
				}
				return nil
			})
		})
	}
	t.Run("hang", func(t *testing.T) {
		const stuck = 64
		c := eventsCaddy(t)
		c.launch(eventsSite(siteWith(), "misbehave hang"))
		before := c.goroutines(t)
		var wg sync.WaitGroup
		list := make([]string, 2*stuck)
		began := time.Now()
		for i := range list {
			list[i] = newToken()
			wg.Go(func() { c.revoke(t, list[i]) })
		}
		wg.Wait()
		if took := time.Since(began); took < 2*time.Second || took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		c.wants(t, http.StatusUnauthorized, list...)
		for _, text := range []string{"they are not waited for", "events were lost, as too many handlers"} {
			eventually(t, func() error {
				if n := strings.Count(c.logs.String(), text); n != stuck {
					return fmt.Errorf("%d times %q, want %d", n, text, stuck)
				}
				return nil
			})
		}
		http.DefaultClient.CloseIdleConnections()
		eventually(t, func() error {
			if n := c.goroutines(t) - before; n < stuck || n > stuck+stuck/2 {
				return fmt.Errorf("%d goroutines more, and %d handlers are stuck", n, stuck)
			}
			return nil
		})
		// A new configuration without them is rid of them.
		if err := c.reload(eventsSite(siteWith(), eventsWrite)); err != nil {
			t.Fatal(err)
		}
	})
}

// Through reloads under load, each revocation that succeeds has its event and its
// line in the audit log, once.
func TestEventsOnceThroughReloads(t *testing.T) {
	const goroutines, reloads = 6, 20
	c := eventsCaddy(t)
	site := auditSite(eventsSite(siteWith(), eventsWrite))
	c.launch(site)
	var succeeded, unknown sync.Map // digests
	var wrong complaints
	var wg sync.WaitGroup
	var stop atomic.Bool
	var done atomic.Int64
	for g := range goroutines {
		crowd := newCrowd(t, c, 1)
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				token := fmt.Sprintf("reload-%d-%d", g, n)
				switch status, err := crowd.revokeOnce(token); {
				case err != nil: // the connection was not accepted, or it was done
					unknown.Store(auditDigest(token), true)
				case status != http.StatusOK:
					wrong.add("revoking: %d", status)
				default:
					succeeded.Store(auditDigest(token), true)
					done.Add(1)
				}
			}
		})
	}
	for i := range reloads {
		enough := done.Load() + 20
		waitFor(t, 20*time.Second, func() error {
			if n := done.Load(); n < enough {
				return fmt.Errorf("%d revocations", n)
			}
			return nil
		})
		config := site
		if i%2 == 0 {
			config = auditSite(eventsSite(siteWith("realm other"), eventsWrite))
		}
		if err := c.reload(config); err != nil {
			t.Error(err)
		}
		if i%7 == 3 {
			if err := c.reload(strings.Replace(site, "store bolt STORE", "store bolt /dev/null/nowhere", 1)); err == nil {
				t.Error("a configuration that cannot work was loaded")
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	wrong.report(t)
	events := c.events(t)
	eventsOnce(t, events, &succeeded, &unknown)
	told, lines := map[string]bool{}, c.auditLines(t)
	for _, l := range lines {
		told[l.Digest] = true
	}
	if len(lines) != len(events) || len(told) != len(events) {
		t.Errorf("%d lines of %d records, and %d events", len(lines), len(told), len(events))
	}
}

// eventsOnce checks that each revocation that succeeded has one event, and each
// of which that is not known at most one.
func eventsOnce(t *testing.T, events []event, succeeded, unknown *sync.Map) {
	t.Helper()
	times := map[string]int{}
	for _, e := range events {
		times[e.Data.Digest]++
		if _, ok := unknown.Load(e.Data.Digest); ok {
			continue
		}
		if _, ok := succeeded.Load(e.Data.Digest); !ok {
			t.Errorf("an event of nothing: %+v", e)
		}
	}
	for digest, n := range times {
		if n != 1 {
			t.Errorf("%s: %d events", digest, n)
		}
	}
	total := 0
	succeeded.Range(func(digest, _ any) bool {
		if total++; times[digest.(string)] == 0 {
			t.Errorf("no event of %s", digest)
		}
		return true
	})
	if t.Logf("%d revocations, %d events", total, len(times)); total < 100 {
		t.Errorf("only %d revocations succeeded", total)
	}
}

// A revocation that comes while Caddy starts has its event too, once those who
// want to know of it are there.
func TestEventsWhileStarting(t *testing.T) {
	c := eventsCaddy(t)
	site := eventsSite(siteWith(), eventsWrite)
	c.launch(site)
	var succeeded, unknown sync.Map
	var n atomic.Int64
	for range 5 {
		c.kill(syscall.SIGTERM)
		var wg sync.WaitGroup
		var stop atomic.Bool
		for range 4 {
			crowd := newCrowd(t, c, 1)
			wg.Go(func() {
				for !stop.Load() {
					token := fmt.Sprint("starting-", n.Add(1))
					if status, err := crowd.revokeOnce(token); err != nil || status == http.StatusServiceUnavailable {
						unknown.Store(auditDigest(token), true)
					} else if status == http.StatusOK {
						succeeded.Store(auditDigest(token), true)
					}
				}
			})
		}
		c.launch(site)
		for range 50 {
			c.revoke(t, "between")
		}
		stop.Store(true)
		wg.Wait()
	}
	events := c.events(t)
	before := len(events)
	events = slices.DeleteFunc(events, func(e event) bool { return e.Data.Digest == auditDigest("between") })
	if between := before - len(events); between != 250 {
		t.Errorf("%d events of 250 revocations of one token", between)
	}
	eventsOnce(t, events, &succeeded, &unknown)
}
