package tests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What operators do is counted by the way it came, and what a dry run would have
// refused as such.
func TestMetricsOfOperators(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	before := c.scrape(t)
	a := newAdmin(t, c)
	token := jwt(fmt.Sprintf(`{"iss":%q,"sub":"alice","iat":1}`, adminIssuer))
	a.change(t, "revoke", aboutToken("opaque|1"))
	a.change(t, "restore", aboutToken("opaque|1"))
	a.change(t, "revoke", aboutRule("subject", "alice", `"dry_run":true`))
	for range 3 {
		a.gate(t, token, http.StatusOK)
	}
	a.gate(t, "opaque|1", http.StatusOK)
	a.change(t, "revoke", aboutRule("key", "k-1"))
	a.wants(t, http.StatusNotFound, "", http.MethodPost, "restore", aboutToken("opaque|2"))

	lines := strings.Join([]string{
		aboutToken("imported|1"), aboutToken("imported|2"), aboutRule("issuer", "", `"dry_run":true`), aboutRule("client", "app-1"),
	}, "\n") + "\n"
	request, err := http.NewRequest(http.MethodPost, "http://"+c.admin+"/token_revocation/import", strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if got := do(t, request); got.status != http.StatusOK {
		t.Fatal(got)
	}

	want := map[string]float64{
		`revocations_total{result="revoked",way="admin"}`:    2,
		`revocations_total{result="restored",way="admin"}`:   1,
		`revocations_total{result="dry_run",way="admin"}`:    1,
		`revocations_total{result="revoked",way="import"}`:   3,
		`revocations_total{result="dry_run",way="import"}`:   1,
		`checks_total{reason="dry_run",result="passed"}`:     3,
		`checks_total{reason="not_revoked",result="passed"}`: 1,
	}
	wantsMetrics(t, c, before, want)
	now := c.scrape(t)
	now.has(t, map[string]float64{
		`denylist_records{kind="token"}`: 3, `denylist_records{kind="subject"}`: 1, `denylist_records{kind="key"}`: 1,
		`denylist_records{kind="issuer"}`: 1, `denylist_records{kind="client"}`: 1, `denylist_records{kind="jti"}`: 0,
	})

	replaceStore(t, c)
	a.wants(t, http.StatusServiceUnavailable, "", http.MethodPost, "revoke", aboutToken("late"))
	again, err := http.NewRequest(http.MethodPost, request.URL.String(), strings.NewReader(aboutToken("late|2")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	again.Header = request.Header
	if got := do(t, again); got.status != http.StatusServiceUnavailable {
		t.Error(got)
	}
	wantsMetrics(t, c, now, map[string]float64{
		`revocations_total{result="failed",way="admin"}`:  1,
		`revocations_total{result="failed",way="import"}`: 1,
	})
}
