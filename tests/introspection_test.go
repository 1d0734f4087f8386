package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func introspected(as *authority, more ...string) string {
	return "introspection " + as.URL + "/introspect {\n client_id gateway\n client_secret gateway-secret\n" + strings.Join(more, "\n") + "\n}"
}

// What the authorization server says decides, about tokens of any kind.
func TestIntrospection(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, introspected(as))
	other := fields("Authorization", basic("other", "other-secret"))
	public := without("Authorization")
	ofBackend := `{"active":true,"client_id":"backend","exp":32503680000}`
	foreign := func() string { return jwt(`{"iss":"https://elsewhere.example","sub":"` + newToken() + `"}`) }
	for _, r := range []revocationRequest{
		{name: "its client", token: as.knows(newToken(), ofBackend), want: success},
		{name: "a JWT", token: as.knows(foreign(), ofBackend), want: success},
		{name: "no client named", token: as.knows(newToken(), `{"active":true}`), want: success},
		{name: "past its end, and active", token: as.knows(newToken(), `{"active":true,"exp":1}`), want: success},
		{name: "not active", token: as.knows(newToken(), `{"active":false,"client_id":"backend"}`), want: success, lives: true},
		{name: "unknown", want: success, lives: true},
		{name: "unknown, with a hint", body: "token=TOKEN&token_type_hint=refresh_token", want: success, lives: true},
		{name: "unknown JWT", token: foreign(), want: success, lives: true},
		{name: "another client", token: as.knows(newToken(), ofBackend), header: other, want: invalidGrant},
		{name: "another client, and public", token: as.knows(newToken(), ofBackend), header: public, body: ofPublic, want: success, lives: true},
		{name: "its public client", token: as.knows(newToken(), `{"active":true,"client_id":"webapp"}`), header: public, body: ofPublic, want: success},
		{name: "with white space", token: as.knows(newToken(), ofBackend), body: "token=%20TOKEN+", want: success},
		{name: "an ID token", token: as.knows(jwt(`{"nonce":"n","aud":"backend"}`), ofBackend), want: unsupportedToken},
		{name: "nonsense", token: as.knows(newToken(), `{"active":"yes"}`), want: unavailable},
	} {
		t.Run(r.name, func(t *testing.T) { c.try(t, up, r) })
	}
	// The authorization server might not know a token in other clothes.
	token := as.knows(as.token(nil), ofBackend)
	parts := strings.Split(token, ".")
	c.try(t, up, revocationRequest{token: token, body: "token=" + strings.Join(parts, "%0A.") + "%3D", want: success})
}

// While there is no answer, nothing is promised, and nothing is revoked.
func TestIntrospectionAway(t *testing.T) {
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, as := newUpstream(t), newAuthority(t)
			c := judged(t, up, introspected(as, "timeout 3s"))
			token := as.knows(newToken(), `{"active":true,"client_id":"backend"}`)
			as.breaks(fault)
			c.try(t, up, revocationRequest{token: token, want: unavailable})
			c.try(t, up, revocationRequest{token: token, want: unavailable})
			as.breaks(nil)
			c.try(t, up, revocationRequest{token: token, want: success})
			for _, secret := range []string{token, "gateway-secret"} {
				if strings.Contains(c.logs.String(), secret) {
					t.Errorf("%s stands in the log", secret)
				}
			}
		})
	}
}

// A redirect is no answer, and leads nowhere.
func TestIntrospectionRedirect(t *testing.T) {
	up, as, elsewhere := newUpstream(t), newAuthority(t), newAuthority(t)
	c := judged(t, up, introspected(as))
	as.breaks(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/introspect", http.StatusTemporaryRedirect)
	})
	c.try(t, up, revocationRequest{want: unavailable})
	if n := elsewhere.times("/introspect"); n != 0 {
		t.Errorf("elsewhere was asked %d times", n)
	}
}

// An authorization server that hangs holds up revocations of its tokens, each
// for a bounded time, and nothing else.
func TestIntrospectionHangs(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, introspected(as, "timeout 2s"))
	as.breaks(faults(t)["silence"])
	var wg sync.WaitGroup
	started := time.Now()
	for range 300 {
		wg.Go(func() {
			if a := c.post(t, url.Values{"token": {newToken()}}, "backend", "backend-secret"); a.status != http.StatusServiceUnavailable {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	eventually(t, func() error {
		if n := as.times("/introspect"); n < 100 {
			return fmt.Errorf("only %d ask", n)
		}
		return nil
	})
	if a := c.bearer(t, "17|alpha"); a.status != http.StatusOK {
		t.Errorf("at the gate: %d", a.status)
	}
	wg.Wait()
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	as.breaks(nil)
	c.try(t, up, revocationRequest{token: as.knows(newToken(), `{"active":true}`), want: success})
}

// With both, an issuer's signature decides where there is one, and the answer of
// the authorization server everywhere else.
func TestIssuerAndIntrospection(t *testing.T) {
	up, as, opaque := newUpstream(t), newAuthority(t), newAuthority(t)
	c := judged(t, up, "issuer "+as.URL+"\n"+introspected(opaque))
	ofBackend := `{"active":true,"client_id":"backend"}`
	forged := jwt(fmt.Sprintf(`{"iss":%q,"n":1}`, as.URL))
	for _, r := range []revocationRequest{
		{name: "of the issuer", token: as.token(nil), want: success},
		{name: "forged", token: opaque.knows(forged, ofBackend), want: success, lives: true},
		{name: "of another issuer", token: opaque.knows(opaque.token(nil), ofBackend), want: success},
		{name: "of another issuer, unknown", token: opaque.token(nil), want: success, lives: true},
		{name: "opaque", token: opaque.knows(newToken(), ofBackend), want: success},
		{name: "opaque, unknown", want: success, lives: true},
		{name: "symmetric", token: opaque.knows(jwtWithHeader(`{"alg":"HS512"}`, fmt.Sprintf(`{"iss":%q}`, as.URL)), ofBackend), want: success},
	} {
		t.Run(r.name, func(t *testing.T) { c.try(t, up, r) })
	}
	if n := as.times("/introspect"); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}
