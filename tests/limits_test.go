package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limitedSite allows each client three revocations in a minute. GLOBAL and EXTRA
// stand for further global options and lines of the directive.
const limitedSite = `
{
	admin ADMIN
	auto_https off
	GLOBAL
	token_revocation {
		store bolt STORE
		client backend {
			secret backend-secret
		}
		client other {
			secret other-secret
		}
		client webapp
	}
}
http://localhost:PORT {
	token_revocation {
		rate_limit 3 1m
		EXTRA
	}
	reverse_proxy UPSTREAM
}
`

func limited(global, extra string) string {
	return strings.NewReplacer("GLOBAL", global, "EXTRA", extra).Replace(limitedSite)
}

// asker asks for revocations of new tokens, over connections of its own.
type asker struct {
	t      *testing.T
	c      *caddy
	client *http.Client
	header http.Header
}

// ask asks as a client, public if it has no secret, and returns the token too.
func (a asker) ask(id, secret string) (got answer, token string) {
	a.t.Helper()
	token = newToken()
	form := url.Values{"token": {token}}
	if secret == "" {
		form.Set("client_id", id)
	}
	request, err := http.NewRequest(http.MethodPost, a.c.url+"/token/revocation", strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header = fields("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range a.header {
		request.Header[name] = values
	}
	if secret != "" {
		request.SetBasicAuth(id, secret)
	}
	return doWith(a.t, a.client, request), token
}

// wants asks, and checks the answer, and that the token dies with success only.
func (a asker) wants(status int, id, secret string) {
	a.t.Helper()
	got, token := a.ask(id, secret)
	a.check(status, id, got, token)
}

func (a asker) check(status int, id string, got answer, token string) {
	a.t.Helper()
	if got.status != status {
		a.t.Fatalf("%s: %d %s, want %d", id, got.status, got.body, status)
	}
	if gate := a.c.bearer(a.t, token).status; (gate == http.StatusUnauthorized) != (status == http.StatusOK) {
		a.t.Errorf("%s: %d, and the token at the gate %d", id, status, gate)
	}
	wait, err := strconv.Atoi(got.header.Get("Retry-After"))
	if status == http.StatusTooManyRequests && (err != nil || wait < 1 || wait > 20 || !strings.Contains(got.body, "temporarily_unavailable")) {
		a.t.Errorf("%s: Retry-After %q %s", id, got.header.Get("Retry-After"), got.body)
	}
}

// fails fails to authenticate until it is slowed, and says how often it was not.
func (a asker) fails() (times int) {
	a.t.Helper()
	for ; times < 1000; times++ {
		if got, token := a.ask("backend", "wrong"); got.status != unknown {
			a.check(tooMany, "backend", got, token)
			return times
		}
	}
	a.t.Fatal("nobody is slowed")
	return 0
}

// slowed expects that who has failed too often is turned away as any client. Each
// second lets one more try through, which may come by chance after the last failure,
// but not again and again; a fourth would be turned away for its rate.
func (a asker) slowed(id, secret string) {
	a.t.Helper()
	for range 2 {
		a.fails()
		if got, token := a.ask(id, secret); got.status == tooMany {
			a.check(tooMany, id, got, token)
			return
		}
	}
	a.fails()
	a.wants(tooMany, id, secret)
}

const (
	ok      = http.StatusOK
	unknown = http.StatusUnauthorized
	tooMany = http.StatusTooManyRequests
)

func TestRateLimit(t *testing.T) {
	c := start(t, limited("", ""), newUpstream(t))
	a, b := asker{t, c, stranger(t), nil}, asker{t, c, stranger(t), nil}
	for range 3 {
		a.wants(ok, "backend", "backend-secret")
	}
	for _, from := range []asker{a, b} { // one client is one, wherever it is
		from.wants(tooMany, "backend", "backend-secret")
	}
	a.wants(ok, "other", "other-secret")
	for range 3 { // and who only says so is many
		a.wants(ok, "webapp", "")
		b.wants(ok, "webapp", "")
	}
	a.wants(tooMany, "webapp", "")
	asker{t, c, stranger(t), nil}.wants(ok, "webapp", "")
	// A reload forgives nobody.
	if err := c.reload(limited("", "realm other")); err != nil {
		t.Fatal(err)
	}
	b.client.CloseIdleConnections()
	b.wants(tooMany, "backend", "backend-secret")
}

func TestFailuresAreSlowed(t *testing.T) {
	c := start(t, limited("", ""), newUpstream(t))
	a := asker{t, c, &http.Client{Transport: &http.Transport{}}, nil}
	began := time.Now()
	few := func(times int) { // no more than time brings, of which nobody is given 20 anew
		t.Helper()
		if since := int(time.Since(began).Seconds()); times > since+1 {
			t.Errorf("%d failures more were possible %d seconds after there were too many", times, since)
		}
	}
	a.fails()
	a.slowed("backend", "backend-secret") // right or wrong, nobody is told
	a.slowed("webapp", "")
	asker{t, c, stranger(t), nil}.wants(ok, "backend", "backend-secret")
	a.header = fields("X-Forwarded-For", "203.0.113.7", "X-Real-Ip", "203.0.113.7", "Forwarded", "for=203.0.113.7")
	few(a.fails())
	a.header = nil
	if err := c.reload(limited("", "realm other")); err != nil {
		t.Fatal(err)
	}
	a.client.CloseIdleConnections()
	few(a.fails())
	eventually(t, func() error {
		if got, _ := a.ask("backend", "backend-secret"); got.status != ok {
			return fmt.Errorf("still %d", got.status)
		}
		return nil
	})
}

// Behind a proxy that Caddy trusts, an address is that of whom the proxy names.
func TestLimitsBehindAProxy(t *testing.T) {
	c := start(t, limited("servers {\n\t\ttrusted_proxies static private_ranges\n\t}", ""), newUpstream(t))
	at := func(address string) asker {
		return asker{t, c, http.DefaultClient, fields("X-Forwarded-For", address)}
	}
	at("203.0.113.7").slowed("backend", "backend-secret")
	at("203.0.113.8").wants(ok, "backend", "backend-secret")
	for range 3 {
		at("2001:db8::1").wants(ok, "webapp", "")
	}
	at("2001:db8::2").wants(tooMany, "webapp", "")
	at("2001:db8:0:1::2").wants(ok, "webapp", "")
}

// Each profile says it in its way.
func TestLimitsOfProfiles(t *testing.T) {
	c := start(t, limited("", ""), newUpstream(t))
	for _, profile := range []string{"session", "json", "fapi"} {
		if err := c.reload(limited("", "profile "+profile)); err != nil {
			t.Fatal(err)
		}
		a := asker{t, c, stranger(t), nil}
		got := answer{status: unknown}
		for got.status == unknown {
			got, _ = a.ask("nobody", "wrong")
		}
		if got.status != tooMany || got.header.Get("Retry-After") != "1" || !strings.Contains(got.body, "temporarily_unavailable") ||
			(profile == "fapi") != (len(got.header.Get("X-Fapi-Interaction-Id")) == 36) {
			t.Errorf("%s: %d %v %s", profile, got.status, got.header, got.body)
		}
	}
}
