package tests

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// adminRequests are one to each route, with what it answers where all is well and
// the denylist is empty.
var adminRequests = []struct {
	method, path, body string
	status             int
}{
	{http.MethodPost, "revoke", `{"token":"a-token-that-nobody-has"}`, 200},
	{http.MethodPost, "restore", `{"token":"a-token-that-nobody-has"}`, 200},
	{http.MethodGet, "records", "", 200},
	{http.MethodGet, "records/token:000000000000", "", 404},
	{http.MethodPost, "explain", `{"token":"another"}`, 200},
	{http.MethodGet, "stats", "", 200},
	{http.MethodGet, "sync", "", 200},
}

// A configuration without the app has no records; one with another store has
// others; on the way back all is as it was.
func TestAdminThroughReloads(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	token := newToken()
	first := a.change(t, "revoke", aboutToken(token))
	other := strings.Replace(siteWith(), "STORE", "STORE.other", 1)
	for range 2 {
		if err := c.reload("{\n\tadmin ADMIN\n}\n"); err != nil {
			t.Fatal(err)
		}
		for _, r := range adminRequests {
			a.wants(t, http.StatusNotFound, "the running configuration has no token_revocation", r.method, r.path, r.body)
		}
		if err := c.reload(other); err != nil {
			t.Fatal(err)
		}
		a.gate(t, token, http.StatusOK)
		a.wants(t, http.StatusNotFound, "no such record", http.MethodGet, "records/"+first.ID, "")
		for _, r := range adminRequests {
			a.wants(t, r.status, nil, r.method, r.path, r.body)
		}
		if err := c.reload(strings.Replace(siteWith(), "store bolt STORE", "store bolt /dev/null/nowhere", 1)); err == nil {
			t.Error("a configuration without its store was loaded")
		}
		for _, r := range adminRequests { // the one before still runs
			a.wants(t, r.status, nil, r.method, r.path, r.body)
		}
		if err := c.reload(siteWith()); err != nil {
			t.Fatal(err)
		}
		a.gate(t, token, http.StatusUnauthorized)
		var again adminRecord
		a.wants(t, http.StatusOK, &again, http.MethodGet, "records/"+first.ID, "")
		if again != first {
			t.Errorf("%+v, want %+v", again, first)
		}
	}
}

// While the first configuration waits for its denylist there is nothing that
// could answer yet.
func TestAdminWhileStarting(t *testing.T) {
	holder := start(t, siteWith(), newUpstream(t))
	c := newCaddy(t, t.TempDir(), newUpstream(t))
	waiting := strings.ReplaceAll(siteWith(), "STORE", holder.names.Replace("STORE")) // which holder has locked
	started := make(chan error)
	go func() { started <- c.tryLaunch(waiting) }()
	a := newAdmin(t, c)
	a.client.Transport = http.DefaultTransport.(*http.Transport).Clone()
	seen := 0
	eventually(t, func() error {
		for ; seen < 10; seen++ {
			got, err := a.ask(http.MethodPost, "revoke", aboutToken("a"))
			if err != nil {
				return err // no admin endpoint yet
			}
			if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "still being started") {
				t.Errorf("%d %v %s", got.status, got.header, got.body)
			}
		}
		return nil
	})
	holder.kill(syscall.SIGKILL) // at once: the other waits for five seconds only
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if r := a.change(t, "revoke", aboutToken("a")); r.Effect != "refuse" {
		t.Errorf("%+v", r)
	}
}

// What was answered survives kill -9: revocations, rules, dry runs, restorations.
func TestAdminKilled(t *testing.T) {
	c := newCaddy(t, t.TempDir(), newUpstream(t))
	c.launch(siteWith())
	a := newAdmin(t, c)
	token := func(sub string) string {
		return jwt(fmt.Sprintf(`{"iss":%q,"sub":%q}`, adminIssuer, sub))
	}
	for round := range 5 {
		name := func(what string) string { return fmt.Sprint(what, round) }
		want := map[string]adminRecord{}
		for _, r := range []adminRecord{
			a.change(t, "revoke", aboutRule("subject", name("refused"), `"by":"bob"`, `"reason":"why \"so\" ü"`, `"issued_before":"in 1h"`)),
			a.change(t, "revoke", aboutRule("subject", name("tried"), `"dry_run":true`)),
			a.change(t, "revoke", aboutToken(name("token"))),
		} {
			r.Trial = nil
			want[r.ID] = r
		}
		restored := a.change(t, "revoke", aboutRule("subject", name("restored")))
		last := a.change(t, "restore", aboutID(restored.ID))
		want[last.ID] = last
		c.kill(syscall.SIGKILL)
		c.launch(siteWith())
		for id, r := range want {
			var got adminRecord
			a.wants(t, http.StatusOK, &got, http.MethodGet, "records/"+id, "")
			got.Trial, got.IssuedBefore = nil, nil
			r.IssuedBefore = nil
			if got != r {
				t.Errorf("%+v, want %+v", got, r)
			}
		}
		a.gate(t, token(name("refused")), http.StatusUnauthorized)
		a.gate(t, name("token"), http.StatusUnauthorized)
		a.gate(t, token(name("tried")), http.StatusOK)
		a.gate(t, token(name("restored")), http.StatusOK)
	}
}

// A Caddy without an admin endpoint has none of this, and does the rest.
func TestAdminOff(t *testing.T) {
	c := newCaddy(t, t.TempDir(), newUpstream(t))
	c.asItStands = "it has no admin endpoint"
	c.launch(strings.Replace(siteWith(), "admin ADMIN", "admin off", 1))
	a := newAdmin(t, c)
	if got, err := a.ask(http.MethodGet, "stats", ""); err == nil {
		t.Errorf("%d %s", got.status, got.body)
	}
	token := newToken()
	c.revoke(t, token)
	a.gate(t, token, http.StatusUnauthorized)
	request, err := http.NewRequest(http.MethodGet, c.url+"/token_revocation/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := do(t, request); strings.TrimSpace(got.body) != "reached the API" { // a site serves none of it
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Pages of other origins cannot reach it through a browser, nor by another name
// of this host.
func TestAdminOrigins(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	token := newToken()
	for name, change := range map[string]func(*http.Request){
		"origin":  func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"no-cors": func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "no-cors") },
		"null":    func(r *http.Request) { r.Header.Set("Origin", "null") },
		"host":    func(r *http.Request) { r.Host = "evil.example" },
		"form":    func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
	} {
		r, err := http.NewRequest(http.MethodPost, "http://"+c.admin+"/token_revocation/revoke", strings.NewReader(aboutToken(token)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", inJSON)
		change(r)
		if got := do(t, r); got.status < 400 || got.status >= 500 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	a.gate(t, token, http.StatusOK)
}
