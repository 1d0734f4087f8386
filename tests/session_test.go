package tests

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// wants checks which of some tokens pass at the gate.
func (c *caddy) wants(t *testing.T, status int, tokens ...string) {
	t.Helper()
	for i, token := range tokens {
		if a := c.bearer(t, token); a.status != status {
			t.Errorf("token %d: %d %v, want %d", i, a.status, a.header, status)
		}
	}
}

// A session dies with any of its tokens: those that there are, those that are
// issued later, in whichever writing and place; across a crash. Other sessions of
// the same user live.
func TestSession(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, "issuer "+as.URL, "revoke session")
	of := func(sid any) string { return as.token(claimSet{"sid": sid}) }
	first, second, other, none := of("s-1"), of("s-1"), of("s-2"), of(nil)
	elsewhere := signed(t, newIssuerKey(t), "at+jwt", claimSet{"iss": "https://elsewhere.example", "sid": "s-1"})
	c.wants(t, http.StatusOK, first, second, other, none, elsewhere)
	c.revoke(t, first)
	c.wants(t, http.StatusUnauthorized, first, second, of("s-1"))
	c.wants(t, http.StatusOK, other, none, elsewhere, of("s-2"), of("S-1"), newToken())
	if a := c.bearer(t, second); !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("%v", a.header)
	}

	parsed, err := jose.ParseSigned(second, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(second, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	disguised := map[string]string{
		"JSON":        parsed.FullSerialize(),
		"padded":      parts[0] + "." + base64.URLEncoding.EncodeToString(raw) + "." + parts[2],
		"spaced":      strings.Join(parts, " . "),
		"another key": signed(t, newIssuerKey(t), "JWT", claimSet{"iss": as.URL, "sid": "s-1"}),
	}
	for name, token := range disguised {
		for place, header := range map[string]http.Header{"header": fields("X-Token", token), "cookie": fields("Cookie", "at="+url.QueryEscape(token))} {
			request, err := http.NewRequest(http.MethodGet, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = header
			if a := do(t, request); a.status != http.StatusUnauthorized {
				t.Errorf("%s in a %s: %d %s", name, place, a.status, a.body)
			}
		}
	}

	c.kill(syscall.SIGKILL)
	c.launch(judgedConfig("issuer "+as.URL, "revoke session"))
	c.wants(t, http.StatusUnauthorized, first, second, of("s-1"))
	c.wants(t, http.StatusOK, other, none, elsewhere, of("s-2"))
	// Also with less to judge by: what was revoked is refused.
	if err := c.reload(judgedConfig("")); err != nil {
		t.Fatal(err)
	}
	c.wants(t, http.StatusUnauthorized, first, second, of("s-1"))
	c.wants(t, http.StatusOK, other)
}

// The profile named session is one that revokes sessions.
func TestSessionProfile(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, "issuer "+as.URL, "profile session")
	token := as.token(claimSet{"sid": "s"})
	c.revoke(t, token)
	c.wants(t, http.StatusUnauthorized, token, as.token(claimSet{"sid": "s"}))
}

// Who wants sessions revoked hears where none can be.
func TestSessionUnknown(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	for options, warned := range map[string]bool{"profile session": true, "revoke session": true, "profile session\nrevoke token": false, "": false} {
		c := judged(t, up, "", strings.Split(options, "\n")...)
		if got := strings.Contains(c.logs.String(), "only tokens will be"); got != warned {
			t.Errorf("%q: warned is %t", options, got)
		}
	}
	if c := judged(t, up, "issuer "+as.URL, "profile session"); strings.Contains(c.logs.String(), "only tokens will be") {
		t.Error("warned, though there is an issuer")
	}
}

// A token takes its session along only if it is a refresh token, which a hint
// does not make it.
func TestSessionOfRefreshToken(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, "issuer "+as.URL+"\n"+introspected(as))
	n := 0
	says := func(more string) func(sid string) string {
		return func(sid string) string {
			return as.knows(newToken(), fmt.Sprintf(`{"active":true,"client_id":"backend","iss":%q,"sid":%q%s}`, as.URL, sid, more))
		}
	}
	for name, test := range map[string]struct {
		refresh func(sid string) string
		dies    bool
	}{
		"access token": {func(sid string) string { return as.token(claimSet{"sid": sid}) }, false},
		"rt+jwt":       {func(sid string) string { return as.tokenOf("rt+jwt", claimSet{"sid": sid}) }, true},
		"Refresh": {func(sid string) string {
			return as.tokenOf("JWT", claimSet{"sid": sid, "typ": "Refresh", "aud": as.URL})
		}, true},
		"introspected access token":  {says(`,"token_type":"Bearer"`), false},
		"introspected refresh token": {says(`,"token_use":"refresh_token"`), true},
		"Keycloak, which signs with HMAC": {func(sid string) string {
			return as.knows(
				jwtWithHeader(`{"alg":"HS512"}`, fmt.Sprintf(`{"iss":%q,"typ":"Refresh","sid":%q}`, as.URL, sid)),
				fmt.Sprintf(`{"active":true,"client_id":"backend","iss":%q,"sid":%q}`, as.URL, sid),
			)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			sid := fmt.Sprint("session-", n)
			access := as.token(claimSet{"sid": sid})
			form := url.Values{"token": {test.refresh(sid)}, "token_type_hint": {"refresh_token"}}
			// Of another client it takes nothing along.
			if a := c.post(t, form, "other", "other-secret"); a.status != http.StatusBadRequest {
				t.Errorf("another client: %d %s", a.status, a.body)
			}
			c.wants(t, http.StatusOK, access)
			form.Set("token_type_hint", "access_token")
			if a := c.post(t, form, "backend", "backend-secret"); a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			want := http.StatusOK
			if test.dies {
				want = http.StatusUnauthorized
			}
			c.wants(t, want, access, as.token(claimSet{"sid": sid}))
			c.wants(t, http.StatusOK, as.token(claimSet{"sid": sid + "-other"}))
		})
	}
}

// Claims that nobody has verified end no session.
func TestSessionOfNobody(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	victim := as.token(claimSet{"sid": "s"})
	forged := func(n int) string {
		return jwtWithHeader(`{"alg":"ES256","typ":"rt+jwt"}`, fmt.Sprintf(`{"iss":%q,"sid":"s","client_id":"backend","n":%d}`, as.URL, n))
	}
	for name, judges := range map[string]string{"possession": "", "issuer": "issuer " + as.URL, "introspection": introspected(as)} {
		t.Run(name, func(t *testing.T) {
			c := judged(t, up, judges, "revoke session")
			as.knows(forged(1), `{"active":true}`)
			for n := range 3 {
				if a := c.post(t, url.Values{"token": {forged(n)}}, "backend", "backend-secret"); a.status != http.StatusOK {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
			c.wants(t, http.StatusOK, victim)
		})
	}
}
