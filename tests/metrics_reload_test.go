package tests

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// metricsWatch scrapes over and over, and complains where that fails or a counter
// has shrunk.
func metricsWatch(c *caddy, wrong *complaints) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		var before metricsScrape
		for scrapes := 0; !stopped.Load() || scrapes == 0; {
			now, err := metricsFrom("http://" + c.admin + "/metrics")
			if err != nil {
				if !errors.Is(err, errMetricsBroke) {
					wrong.add("scrape: %v", err)
				}
				continue
			}
			if scrapes++; now.values["denylist_loaded"] != 1 {
				wrong.add("it is said not to be loaded")
			}
			for series, value := range before.values {
				name := now.family(series)
				if kind := now.types[name]; kind != "gauge" && now.values[series] < value {
					wrong.add("%s (%s) was %v and is %v", series, kind, value, now.values[series])
				}
			}
			before = now
		}
	})
	return func() {
		stopped.Store(true)
		wg.Wait()
	}
}

const metricsBroken = `
{
	admin ADMIN
	pki {
		ca local {
			root {
				cert /dev/null
				key /dev/null
			}
		}
	}
}
`

// Reloads, also such as fail, neither lose a count nor count twice, with Caddy's own
// metrics of sites on or off, while old and new configuration answer side by side.
func TestMetricsSurviveReloads(t *testing.T) {
	var wrong complaints
	c := start(t, siteWith(), newUpstream(t))
	before := c.scrape(t)
	crowd := newCrowd(t, c, 8)
	crowd.client.Transport.(*http.Transport).DisableKeepAlives = true
	crowd.persist()
	stopWatch := metricsWatch(c, &wrong)
	var sent atomic.Int64
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stopped.Load() {
				if status, err := crowd.get("alive", false); err != nil || status != http.StatusOK {
					wrong.add("%d %v", status, err)
				}
				sent.Add(1)
			}
		})
	}
	variants := []string{
		strings.Replace(siteWith(), "auto_https off", "auto_https off\n\tmetrics {\n\t\tper_host\n\t}", 1),
		strings.Replace(siteWith("realm other"), "reverse_proxy UPSTREAM", "metrics /metrics\n\treverse_proxy UPSTREAM", 1),
		siteWith(),
	}
	broken := []string{
		metricsBroken, // fails before anything of this module is provisioned
		strings.Replace(siteWith(), "secret backend-secret", "secret {env.NO_SUCH_SECRET}", 1), // provisioning fails
		strings.Replace(siteWith(), "store bolt STORE", "store bolt /dev/null/nowhere", 1),     // starting fails
	}
	const reloads = 20
	for i := range reloads {
		if err := c.reload(variants[i%len(variants)]); err != nil {
			t.Fatal(err)
		}
		c.revoke(t, fmt.Sprint("dead|", i))
		if i%2 == 1 {
			if err := c.reload(broken[i/2%len(broken)]); err == nil {
				t.Error("a configuration that cannot work was loaded")
			}
			if got := c.scrape(t).values[`denylist_records{kind="token"}`]; got != float64(i+1) {
				t.Errorf("after a reload that failed there are %v records, want %d", got, i+1)
			}
		}
	}
	stopped.Store(true)
	wg.Wait()
	stopWatch()
	wrong.report(t)
	more := c.scrape(t).since(before)
	passed := `checks_total{reason="not_revoked",result="passed"}`
	// A request whose connection a reload has broken may have been checked all the same.
	if more[passed] < float64(sent.Load()) || more[passed] > float64(sent.Load()+8*reloads) || sent.Load() < reloads {
		t.Errorf("%v checks were counted of %d", more[passed], sent.Load())
	}
	delete(more, passed)
	want := map[string]float64{
		`endpoint_requests_total{result="revoked"}`:          reloads,
		`revocations_total{result="revoked",way="endpoint"}`: reloads,
	}
	if more = metricsCounts(more); fmt.Sprint(more) != fmt.Sprint(want) {
		t.Errorf("the counters grew by %v, want %v", more, want)
	}
}

// What is said of the denylist is said of the one that runs; what was counted
// stays.
func TestMetricsOfAnotherStore(t *testing.T) {
	var wrong complaints
	c := start(t, siteWith(), newUpstream(t))
	for i := range 3 {
		c.revoke(t, fmt.Sprint("dead|", i))
		c.bearer(t, fmt.Sprint("dead|", i))
	}
	stop := metricsWatch(c, &wrong)
	other := strings.Replace(siteWith(), "STORE", "STORE.other", 1)
	records, wrote := `denylist_records{kind="token"}`, `store_last_success_timestamp_seconds{operation="write"}`
	for round := range 3 {
		if err := c.reload(other); err != nil {
			t.Fatal(err)
		}
		now := c.scrape(t)
		if got, want := now.values[records], min(float64(round), 1); got != want {
			t.Errorf("%v records in the other store, want %v", got, want)
		}
		if at, there := now.values[wrote]; there {
			t.Errorf("nothing was written to the other store, and yet at %v", at)
		}
		c.revoke(t, "other")
		if err := c.reload(siteWith()); err != nil {
			t.Fatal(err)
		}
		if got := c.scrape(t).values[records]; got != 3 {
			t.Errorf("%v records in the store, want 3", got)
		}
	}
	stop()
	wrong.report(t)
	// The other sites' handler, too, says it all.
	if err := c.reload(strings.Replace(siteWith(), "reverse_proxy UPSTREAM", "metrics /metrics\n\treverse_proxy UPSTREAM", 1)); err != nil {
		t.Fatal(err)
	}
	site, err := metricsFrom(c.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if admin := c.scrape(t); fmt.Sprint(site.types) != fmt.Sprint(admin.types) || len(site.types) == 0 {
		t.Errorf("the site has %v, the admin endpoint %v", site.types, admin.types)
	}
}
