package tests

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// metricsCounts are the counters that a test looks at; others are about time, or
// how often something was asked for behind it.
func metricsCounts(grown map[string]float64) map[string]float64 {
	for series := range grown {
		if strings.HasPrefix(series, "cache_") || strings.HasPrefix(series, "store_") {
			delete(grown, series)
		}
	}
	return grown
}

// wantsMetrics waits until the counters have grown exactly so. A request to the
// endpoint is counted when it has been answered.
func wantsMetrics(t *testing.T, c *caddy, before metricsScrape, want map[string]float64) {
	t.Helper()
	eventually(t, func() error {
		if got := metricsCounts(c.scrape(t).since(before)); !maps.Equal(got, want) {
			return fmt.Errorf("the counters grew by\n%v, want\n%v", got, want)
		}
		return nil
	})
}

// Known traffic is counted to the last request.
func TestMetricsCount(t *testing.T) {
	c := start(t, siteWith("token form token 1KiB"), newUpstream(t))
	other := start(t, siteWith(), newUpstream(t))
	before := c.scrape(t)
	if grown := metricsCounts(before.since(metricsScrape{})); len(grown) > 0 {
		t.Errorf("before the first request: %v", grown)
	}

	plain, err := http.NewRequest(http.MethodGet, c.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		do(t, plain)
	}
	c.revoke(t, "dead|1")
	c.revoke(t, "dead|1")
	c.revoke(t, "dead|2")
	for range 4 {
		c.bearer(t, "dead|1")
	}
	for i := range 5 {
		c.bearer(t, fmt.Sprint("alive|", i))
	}
	twice := plain.Clone(t.Context())
	twice.Header["Authorization"] = []string{"Bearer a", "Bearer b"}
	for range 2 {
		do(t, twice)
	}
	metricsForm(t, c, "token="+strings.Repeat("x", 2048), "")
	for range 2 {
		metricsForm(t, c, "token=x", "gzip")
	}

	one := url.Values{"token": {"alive|1"}}
	for range 3 {
		c.post(t, one, "backend", "wrong")
	}
	c.post(t, one, "nobody", "wrong")
	c.post(t, url.Values{"token": {"alive|1"}, "client_id": {"backend"}, "client_secret": {"wrong"}}, "", "")
	c.post(t, url.Values{"token": {"alive|1"}, "client_assertion": {"x.y.z"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}, "", "")
	c.post(t, one, "", "")
	c.post(t, url.Values{"token": {"alive|1"}, "client_id": {"backend"}}, "", "")
	c.post(t, url.Values{}, "backend", "backend-secret")                                  // without a token
	c.post(t, url.Values{"token": {jwt(`{"exp":1}`)}}, "backend", "backend-secret")       // long expired
	c.post(t, url.Values{"token": {jwt(`{"at_hash":"x"}`)}}, "backend", "backend-secret") // an ID token
	options := plain.Clone(t.Context())
	options.Method, options.URL.Path = http.MethodOptions, "/token/revocation"
	do(t, options)

	wantsMetrics(t, c, before, map[string]float64{
		`checks_total{reason="no_token",result="passed"}`:          3,
		`checks_total{reason="not_revoked",result="passed"}`:       5,
		`checks_total{reason="revoked",result="refused"}`:          4,
		`checks_total{reason="malformed",result="refused"}`:        2,
		`checks_total{reason="too_large",result="refused"}`:        1,
		`checks_total{reason="unsupported",result="refused"}`:      2,
		`revocations_total{result="revoked",way="endpoint"}`:       3,
		`endpoint_requests_total{result="revoked"}`:                3,
		`endpoint_requests_total{result="nothing"}`:                1,
		`endpoint_requests_total{result="invalid_request"}`:        1,
		`endpoint_requests_total{result="unsupported_token_type"}`: 1,
		`endpoint_requests_total{result="invalid_client"}`:         8,
		`authentication_failures_total{method="basic"}`:            4,
		`authentication_failures_total{method="post"}`:             1,
		`authentication_failures_total{method="assertion"}`:        1,
		`authentication_failures_total{method="none"}`:             2,
	})
	now := c.scrape(t)
	now.has(t, map[string]float64{
		"denylist_loaded":                  1,
		`denylist_records{kind="token"}`:   2,
		`denylist_records{kind="session"}`: 0,
	})
	for _, series := range []string{
		"denylist_index_bytes", "denylist_load_duration_seconds", `store_operation_duration_seconds_count{operation="put"}`,
		`store_last_success_timestamp_seconds{operation="read"}`, `store_last_success_timestamp_seconds{operation="write"}`,
	} {
		if now.values[series] <= 0 {
			t.Errorf("%s is %v", series, now.values[series])
		}
	}
	if asked := now.values["cache_hits_total"] + now.values["cache_misses_total"]; asked < 4 {
		t.Errorf("the cache was asked %v times", asked)
	}
	if grown := metricsCounts(other.scrape(t).since(metricsScrape{})); len(grown) > 0 {
		t.Errorf("another Caddy has counted %v", grown)
	}
}

// metricsForm sends a form to the API.
func metricsForm(t *testing.T, c *caddy, body, encoding string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, c.url+"/api", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	do(t, request)
}

// Each limit is counted under its name.
func TestMetricsOfLimits(t *testing.T) {
	c := start(t, limited("", "require_token"), newUpstream(t))
	c.limitRecords(t, 1, 1)
	before := c.scrape(t)
	a := asker{t, c, stranger(t), nil}
	for range 5 {
		a.ask("backend", "backend-secret")
	}
	a.ask("other", "other-secret")
	a.ask("other", "other-secret")
	failing := asker{t, c, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, nil}
	failed := 0.0
	for {
		if got, _ := failing.ask("backend", "wrong"); got.status != unknown {
			break
		}
		failed++
	}
	plain, err := http.NewRequest(http.MethodGet, c.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	do(t, plain)
	wantsMetrics(t, c, before, map[string]float64{
		`limited_requests_total{limit="rate"}`:               2,
		`limited_requests_total{limit="records"}`:            1,
		`limited_requests_total{limit="failures"}`:           1,
		`endpoint_requests_total{result="limited"}`:          4,
		`endpoint_requests_total{result="revoked"}`:          4,
		`endpoint_requests_total{result="invalid_client"}`:   failed,
		`revocations_total{result="revoked",way="endpoint"}`: 4,
		`authentication_failures_total{method="basic"}`:      failed,
		`checks_total{reason="no_token",result="refused"}`:   1,
	})
}

// A store that cannot be read is seen.
func TestMetricsOfReading(t *testing.T) {
	c := start(t, strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tcache 256B", 1), newUpstream(t))
	dead := metricsImport(t, c)
	before := c.scrape(t)
	if err := os.Truncate(c.names.Replace("STORE"), 4096); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{}
	unavailable := `checks_total{reason="unavailable",result="refused"}`
	for _, token := range dead {
		switch c.bearer(t, token).status {
		case http.StatusServiceUnavailable:
			want[unavailable]++
		case http.StatusUnauthorized: // from the cache
			want[`checks_total{reason="revoked",result="refused"}`]++
		}
	}
	wantsMetrics(t, c, before, want)
	failed := c.scrape(t).values[`store_operation_errors_total{operation="get"}`]
	if want[unavailable] == 0 || failed < want[unavailable] {
		t.Errorf("%v checks could not be answered, and the store has failed %v times", want[unavailable], failed)
	}
}

// A store that cannot be written is seen: here a file that was replaced.
func TestMetricsOfWriting(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	c.revoke(t, "before")
	before := c.scrape(t)
	replaceStore(t, c)
	for range 3 {
		c.post(t, url.Values{"token": {"after"}}, "backend", "backend-secret")
	}
	wantsMetrics(t, c, before, map[string]float64{
		`revocations_total{result="failed",way="endpoint"}`: 3,
		`endpoint_requests_total{result="failed"}`:          3,
	})
	now := c.scrape(t)
	if failed := now.values[`store_operation_errors_total{operation="put"}`]; failed != 3 {
		t.Errorf("the store has failed %v times", failed)
	}
	wrote := `store_last_success_timestamp_seconds{operation="write"}`
	if now.values[wrote] != before.values[wrote] {
		t.Error("it is said to have been written to")
	}
}

// How long a check takes is sampled.
func TestMetricsOfDuration(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	const n = 6400
	crowd := newCrowd(t, c, 4)
	for range n {
		if status, err := crowd.get("alive", false); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
	}
	// A hundred are expected; it is less than 40 or more than 180 once in 10^9 times.
	if got := c.scrape(t).values["check_duration_seconds_count"]; got < 40 || got > 180 {
		t.Errorf("%v of %d checks were timed", got, n)
	}
}

// A Caddy without this module's app says nothing of it.
func TestMetricsWithoutTheApp(t *testing.T) {
	const without = "{\n\tadmin ADMIN\n\tauto_https off\n}\nhttp://localhost:PORT {\n\trespond hello\n}\n"
	c := start(t, without, nil)
	if got := c.scrape(t).values; len(got) > 0 {
		t.Errorf("%v", got)
	}
	if err := c.reload(siteWith()); err != nil {
		t.Fatal(err)
	}
	if got := c.scrape(t).values["denylist_loaded"]; got != 1 {
		t.Errorf("with it: %v", got)
	}
	if err := c.reload(without); err != nil { // nothing is checked any more
		t.Fatal(err)
	}
	if got, there := c.scrape(t).values["denylist_loaded"]; there {
		t.Errorf("without it again: %v", got)
	}
}

// Nothing of a token, and no name of anybody, stands in the metrics.
func TestMetricsTellNothing(t *testing.T) {
	c := start(t, siteWith("token cookie session"), newUpstream(t))
	const opaque = "opaque-token-that-nobody-may-see"
	claims := jwt(`{"iss":"https://idp.example.com","sub":"alice","sid":"s-1","jti":"j-1","client_id":"app-1"}`)
	hidden := []string{opaque, claims, "backend", "webapp", "wrong-secret", "nobody", "idp.example.com", "alice", "/api", "127.0.0.1"}
	signed := claims[:strings.LastIndexByte(claims, '.')]
	for _, text := range []string{opaque, claims, signed} {
		sum := sha256.Sum256([]byte(text))
		hidden = append(hidden, hex.EncodeToString(sum[:6]), metricsEncode(string(sum[:])))
	}
	for _, token := range []string{opaque, claims} {
		c.revoke(t, token)
		c.bearer(t, token)
	}
	c.post(t, url.Values{"token": {opaque}}, "nobody", "wrong-secret")
	c.post(t, url.Values{"token": {opaque}, "client_id": {"webapp"}}, "", "")
	for line := range strings.Lines(c.scrape(t).text) {
		for _, secret := range hidden {
			if strings.HasPrefix(line, metricsPrefix) && strings.Contains(line, secret) {
				t.Errorf("%q stands in %s", secret, line)
			}
		}
	}
}

func metricsEncode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
