package tests

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// adminWhy is what the admin API explains.
type adminWhy struct {
	Refused  bool
	Until    *time.Time
	IssuedAt *time.Time `json:"issued_at"`
	Matches  []struct {
		Record  adminRecord
		Refuses bool
		Why     string
	}
}

// String is each match in a word, those that refuse with a star.
func (w *adminWhy) String() string {
	var list []string
	for _, m := range w.Matches {
		star := ""
		if m.Refuses {
			star = "*"
		}
		list = append(list, star+m.Record.Kind+" "+m.Record.Effect)
	}
	return strings.Join(list, ", ")
}

// explained asks why, and expects what is explained to be so at the gate.
func (a admin) explained(t *testing.T, token, want string) adminWhy {
	t.Helper()
	var why adminWhy
	a.wants(t, http.StatusOK, &why, http.MethodPost, "explain", aboutToken(token))
	status := http.StatusOK
	if why.Refused {
		status = http.StatusUnauthorized
	}
	a.gate(t, token, status)
	if got := why.String(); got != want || why.Refused != strings.Contains(want, "*") || why.Refused != (why.Until != nil) {
		t.Errorf("%v until %v: %s, want %s", why.Refused, why.Until, got, want)
	}
	return why
}

// Whatever a token can be refused by is explained, as the gate has it, with the
// claims of an issuer that has names of its own.
func TestAdminExplains(t *testing.T) {
	config := strings.Replace(siteWith(), "store bolt STORE", `store bolt STORE
		leeway 2m
		issuer `+adminIssuer+` {
			jwks KEYS
			session_claim sess
			id_claim uti
			client_claim app
		}`, 1)
	c := start(t, withKeys(t, config, newKey(t, "ES256").set()), newUpstream(t))
	a := newAdmin(t, c)
	issued := time.Now().Add(-time.Minute).Truncate(time.Second)
	claims := fmt.Sprintf(`{"iss":%q,"iat":%d,"sub":"alice","app":"shop","sess":"s","uti":"u"}`, adminIssuer, issued.Unix())
	token := jwtWithHeader(`{"alg":"ES256","kid":"k1"}`, claims)
	why := a.explained(t, token, "")
	if why.Matches == nil || why.IssuedAt == nil || !why.IssuedAt.Equal(issued) || why.Until != nil {
		t.Errorf("%+v", why)
	}
	a.explained(t, newToken(), "")

	// Each by itself, then taken back.
	var restored []string
	for _, rule := range []struct{ kind, value string }{
		{"session", "s"}, {"jti", "u"}, {"subject", "alice"}, {"client", "shop"}, {"key", "k1"}, {"issuer", ""},
	} {
		r := a.change(t, "revoke", aboutRule(rule.kind, rule.value, `"expires":"in 1h"`))
		why := a.explained(t, token, strings.Join(append([]string{"*" + rule.kind + " refuse"}, restored...), ", "))
		if m := why.Matches[0]; m.Record != r && m.Record.ID != r.ID || m.Why == "" || !why.Until.Equal(r.Expires.Add(2*time.Minute)) {
			t.Errorf("%+v until %s", m, why.Until)
		}
		var same adminWhy
		for _, body := range []string{aboutRule(rule.kind, rule.value), aboutID(r.ID), aboutID(r.ID[:len(rule.kind)+13])} {
			a.wants(t, http.StatusOK, &same, http.MethodPost, "explain", body)
			if !same.Refused || same.String() != "*"+rule.kind+" refuse" {
				t.Errorf("%s: %+v", body, same)
			}
		}
		a.change(t, "restore", aboutID(r.ID))
		also := func(what string) string { return strings.Join(append(slices.Clone(restored), rule.kind+what), ", ") }
		a.explained(t, token, also(" restored"))
		// From now on it is about tokens that are older.
		if rule.kind != "jti" && rule.kind != "session" {
			a.change(t, "revoke", aboutRule(rule.kind, rule.value, fmt.Sprintf(`"issued_before":%d`, issued.Unix()-1), `"expires":"in 1s"`))
			late := a.explained(t, token, also(" refuse"))
			if !strings.Contains(late.Matches[len(restored)].Why, "after the time of the rule") {
				t.Errorf("%+v", late)
			}
			a.change(t, "restore", aboutRule(rule.kind, rule.value))
		}
		a.change(t, "revoke", aboutRule(rule.kind, rule.value, `"dry_run":true`, `"expires":"in 1h"`))
		a.explained(t, token, also(" count"))
		tried := a.change(t, "revoke", aboutRule(rule.kind, rule.value, `"dry_run":true`))
		if tried.Trial == nil || tried.Trial.Requests == 0 || tried.Trial.Tokens != 1 {
			t.Errorf("%s: %+v", rule.kind, tried.Trial)
		}
		a.change(t, "restore", aboutRule(rule.kind, rule.value))
		restored = append(restored, rule.kind+" restored")
	}
	a.explained(t, token, strings.Join(restored, ", "))

	// Several at once, and the token itself.
	a.change(t, "revoke", aboutToken(token, `"by":"bob"`, `"expires":"in 1h"`))
	a.change(t, "revoke", aboutRule("client", "shop"))
	whole := a.explained(t, token, "*token refuse, *client refuse, session restored, jti restored, subject restored, key restored, issuer restored")
	if m := whole.Matches; m[0].Record.By != "bob" || !m[0].Record.Operator || !m[1].Record.Operator ||
		whole.Until.Before(m[1].Record.Expires) {
		t.Errorf("%+v", whole)
	}
	a.explained(t, jwt(fmt.Sprintf(`{"iss":%q,"app":"shop"}`, adminIssuer)), "*client refuse, issuer restored")
	a.explained(t, jwt(fmt.Sprintf(`{"iss":%q,"app":"shop","iat":%d}`, adminIssuer, time.Now().Add(time.Hour).Unix())), "client refuse, issuer restored")
	a.explained(t, jwt(`{"iss":"https://other.example.com","app":"shop"}`), "")

	// A rule without a record of its own is none; that of its issuer counts.
	var other adminWhy
	a.change(t, "revoke", aboutRule("issuer", ""))
	a.wants(t, http.StatusOK, &other, http.MethodPost, "explain", aboutRule("subject", "bob"))
	if !other.Refused || other.String() != "*issuer refuse" || other.IssuedAt != nil {
		t.Errorf("%+v", other)
	}
	a.wants(t, http.StatusNotFound, "no such record", http.MethodPost, "explain", aboutID("subject:"+strings.Repeat("0", 64)))
	a.wants(t, http.StatusBadRequest, "refused as malformed", http.MethodPost, "explain", aboutToken(jwt(`{"iss":NaN}`)))
	a.wants(t, http.StatusBadRequest, "member other than token, kind, issuer, value, id", http.MethodPost, "explain", aboutToken("a", `"by":"x"`))
	a.wants(t, http.StatusMethodNotAllowed, "use POST", http.MethodGet, "explain", "")
}

// What the node is, has and can.
func TestAdminStats(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	var stats struct {
		Version, Caddy string
		Records        map[string]int
		Total          int
		IndexBytes     int `json:"index_bytes"`
		Cache          struct{ Hits, Misses, Bytes int }
		Loaded         struct {
			At      time.Time
			Seconds float64
			Records int
		}
		Store         struct{ Resource string }
		RetainSeconds float64 `json:"retain_seconds"`
		LeewaySeconds float64 `json:"leeway_seconds"`
	}
	a.wants(t, http.StatusOK, &stats, http.MethodGet, "stats", "")
	if len(stats.Records) != 8 || stats.Total != 0 || stats.Loaded.Records != 0 || time.Since(stats.Loaded.At) > time.Minute || stats.Loaded.Seconds <= 0 ||
		stats.Version == "" || !strings.HasPrefix(stats.Caddy, "v2.") || stats.Cache.Bytes != 32<<20 || stats.RetainSeconds != 720*3600 || stats.LeewaySeconds != 60 {
		t.Errorf("%+v", stats)
	}
	token := newToken()
	a.change(t, "revoke", aboutToken(token))
	for _, kind := range []string{"session", "jti", "subject", "client", "key"} {
		a.change(t, "revoke", aboutRule(kind, "x"))
	}
	a.change(t, "revoke", aboutRule("issuer", "", `"dry_run":true`))
	a.change(t, "restore", aboutRule("jti", "x"))
	for range 3 {
		a.gate(t, token, http.StatusUnauthorized)
	}
	empty := stats.IndexBytes
	a.wants(t, http.StatusOK, &stats, http.MethodGet, "stats", "")
	for kind, n := range stats.Records {
		if want := map[bool]int{true: 0, false: 1}[kind == "used"]; n != want {
			t.Errorf("%d records of kind %s", n, kind)
		}
	}
	if stats.Total != 7 || stats.IndexBytes < empty || stats.Cache.Misses == 0 || stats.Store.Resource != c.names.Replace("STORE") {
		t.Errorf("%+v", stats)
	}
	loaded := stats.Loaded
	if err := c.reload(strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tretain 1h\n\t\tleeway 0s\n\t\tcache 1MiB", 1)); err != nil {
		t.Fatal(err)
	}
	a.wants(t, http.StatusOK, &stats, http.MethodGet, "stats", "")
	if stats.Loaded != loaded || stats.RetainSeconds != 3600 || stats.LeewaySeconds != 0 || stats.Cache.Bytes != 1<<20 || stats.Total != 7 {
		t.Errorf("%+v", stats)
	}
	a.wants(t, http.StatusBadRequest, "nothing but", http.MethodGet, "stats?x=1", "")
	a.wants(t, http.StatusMethodNotAllowed, "use GET", http.MethodPost, "stats", "{}")
	if head, err := a.ask(http.MethodHead, "stats", ""); err != nil || head.status != http.StatusOK || head.body != "" {
		t.Errorf("HEAD: %+v %v", head, err)
	}
}

// How the node stands to its store, which is taken away from it and comes back.
// What could not be made durable is no success, and changes nothing.
func TestAdminWithoutStore(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	type state struct {
		Cluster           any
		Ready             bool
		Reasons, Degraded []string
		Store             struct {
			Resource   string
			Reachable  bool
			LastWrite  *time.Time `json:"last_write"`
			LastError  string     `json:"last_error"`
			LastFailed *time.Time `json:"last_failed"`
		}
	}
	sync := func() (s state) {
		t.Helper()
		a.wants(t, http.StatusOK, &s, http.MethodGet, "sync", "")
		return s
	}
	store := c.names.Replace("STORE")
	if s := sync(); s.Cluster != nil || !s.Ready || s.Reasons == nil || len(s.Reasons) > 0 || !s.Store.Reachable || s.Store.LastWrite != nil || s.Store.Resource != store {
		t.Errorf("%+v", s)
	}
	before, after := newToken(), newToken()
	a.change(t, "revoke", aboutToken(before))
	if s := sync(); s.Store.LastWrite == nil || s.Store.LastError != "" {
		t.Errorf("%+v", s)
	}
	if out, err := exec.Command("mv", store, store+".away").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for path, bodies := range map[string][]string{
		"revoke":  {aboutToken(after), aboutRule("subject", "alice"), aboutRule("subject", "alice", `"dry_run":true`)},
		"restore": {aboutToken(before)},
	} {
		for _, body := range bodies {
			a.wants(t, http.StatusServiceUnavailable, "", http.MethodPost, path, body)
		}
	}
	a.gate(t, before, http.StatusUnauthorized)
	a.gate(t, after, http.StatusOK)
	if s := sync(); !slices.Contains(s.Degraded, "writes_failing") || s.Store.LastError == "" || s.Store.LastFailed == nil {
		t.Errorf("%+v", s)
	}
	if err := os.Rename(store+".away", store); err != nil {
		t.Fatal(err)
	}
	a.change(t, "revoke", aboutToken(after))
	a.change(t, "restore", aboutToken(before))
	a.gate(t, before, http.StatusOK)
	a.gate(t, after, http.StatusUnauthorized)
	if s := sync(); len(s.Degraded) > 0 {
		t.Errorf("%+v", s)
	}
	for _, what := range []string{"subject revoked", "subject dry run"} {
		if strings.Contains(c.logs.String(), what) {
			t.Errorf("what was not done is in the audit log: %s", what)
		}
	}
	if !strings.Contains(c.logs.String(), "token restored") {
		t.Error("what was done is not in the audit log")
	}
}
