package tests

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var (
	invalidGrant = wanted{status: http.StatusBadRequest, error: "invalid_grant"}
	ofPublic     = "token=TOKEN&client_id=webapp"
)

// judged runs the site with the given judges.
func judged(t *testing.T, up *upstream, judges string, extra ...string) *caddy {
	t.Helper()
	return start(t, judgedConfig(judges, extra...), up)
}

func judgedConfig(judges string, extra ...string) string {
	return strings.NewReplacer("JUDGES", judges, "EXTRA", strings.Join(extra, "\n\t\t")).Replace(judgedSite)
}

// Whose token it is decides what becomes of it: by discovery, and by keys that
// are configured.
func TestIssuer(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	writeKeys(t, file, as)
	for name, judge := range map[string]string{
		"discovery": "issuer " + as.URL,
		"jwks URL":  "issuer " + as.URL + " {\n jwks " + as.URL + "/jwks\n}",
		"jwks file": "issuer " + as.URL + " {\n jwks " + file + "\n}",
	} {
		t.Run(name, func(t *testing.T) {
			c := judged(t, up, judge)
			for _, r := range issuerRequests(t, as) {
				t.Run(r.name, func(t *testing.T) { c.try(t, up, r) })
			}
		})
	}
}

func writeKeys(t *testing.T, file string, as *authority) {
	t.Helper()
	response, err := http.Get(as.URL + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(answerOf(t, response).body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func issuerRequests(t *testing.T, as *authority) []revocationRequest {
	other := fields("Authorization", basic("other", "other-secret"))
	public := without("Authorization")
	forged := newIssuerKey(t)
	forged.KeyID = as.signs.KeyID
	encode := base64.RawURLEncoding.EncodeToString
	parts := strings.Split(as.token(nil), ".")
	padded := strings.Split(as.token(nil), ".")
	unknown := signed(t, newIssuerKey(t), "at+jwt", claimSet{"iss": "https://elsewhere.example", "exp": time.Now().Add(time.Hour).Unix()})
	return []revocationRequest{
		{name: "its client", token: as.token(nil), want: success},
		{name: "no client named", token: as.token(claimSet{"client_id": nil}), want: success},
		{name: "client as azp", token: as.token(claimSet{"client_id": nil, "azp": "backend", "appid": "other"}), want: success},
		{name: "not valid yet", token: as.token(claimSet{"nbf": time.Now().Add(time.Hour).Unix()}), want: success},
		{name: "without end", token: as.token(claimSet{"exp": nil}), want: success},
		{name: "in white space", token: as.token(nil), body: "token=+%0ATOKEN%20", want: success},
		{name: "with a line break", token: padded[0] + "." + padded[1] + "." + padded[2], body: "token=" + padded[0] + "." + padded[1] + "%0A." + padded[2], want: success},
		{name: "with padding", token: parts[0] + "." + parts[1] + "." + parts[2], body: "token=" + strings.Join(parts, ".") + "%3D%3D", want: success},
		{name: "wrong hint", token: as.token(nil), body: "token=TOKEN&token_type_hint=refresh_token", want: success},
		{name: "opaque", want: success},

		{name: "another client", token: as.token(nil), header: other, want: invalidGrant},
		{name: "another client, by azp", token: as.token(claimSet{"client_id": nil, "azp": "other"}), want: invalidGrant},
		{name: "another client, in another case", token: as.token(claimSet{"client_id": "Backend"}), want: invalidGrant},
		{name: "another client, and public", token: as.token(nil), header: public, body: ofPublic, want: success, lives: true},
		{name: "its public client", token: as.token(claimSet{"client_id": "webapp"}), header: public, body: ofPublic, want: success},
		{name: "a client that is no text", token: as.token(claimSet{"client_id": []string{"backend"}}), want: invalidRequest},
		{name: "an empty client", token: as.token(claimSet{"client_id": ""}), header: other, want: invalidRequest},

		{name: "forged", token: signed(t, forged, "at+jwt", claimSet{"iss": as.URL, "jti": "1"}), want: success, lives: true},
		{name: "forged client", token: parts[0] + "." + encode([]byte(`{"iss":"`+as.URL+`","client_id":"backend"}`)) + "." + parts[2], want: success, lives: true},
		{name: "no signature", token: parts[0] + "." + encode([]byte(`{"iss":"`+as.URL+`","n":1}`)) + ".", want: success, lives: true},
		{name: "none", token: jwtWithHeader(`{"alg":"none"}`, `{"iss":"`+as.URL+`"}`), want: success, lives: true},
		{name: "symmetric", token: jwtWithHeader(`{"alg":"HS256","kid":"`+as.signs.KeyID+`"}`, `{"iss":"`+as.URL+`"}`), want: success, lives: true},
		{name: "another issuer", token: unknown, want: success, lives: true},
		{name: "another issuer, with a slash", token: as.token(claimSet{"iss": as.URL + "/"}), want: success, lives: true},
		{name: "no issuer", token: as.token(claimSet{"iss": nil}), want: success, lives: true},
		{name: "no claims", token: jwtWithHeader(`{"alg":"ES256"}`, `no JSON`), want: success, lives: true},
		{name: "expired", token: as.token(claimSet{"exp": time.Now().Add(-time.Hour).Unix()}), want: success, lives: true},

		{name: "ID token", token: as.tokenOf("JWT", claimSet{"nonce": "n", "client_id": nil, "jti": nil}), want: unsupportedToken},
		{name: "ID token without a mark", token: as.tokenOf("JWT", claimSet{"aud": []string{"backend"}, "client_id": nil, "jti": nil}), want: unsupportedToken},
		{name: "ID token of Keycloak", token: as.tokenOf("JWT", claimSet{"typ": "ID", "azp": "backend"}), want: unsupportedToken},
		{name: "ID token of Cognito", token: as.tokenOf("JWT", claimSet{"token_use": "id"}), want: unsupportedToken},
		{name: "logout token", token: as.tokenOf("logout+jwt", nil), want: unsupportedToken},
	}
}

// A token in JSON serialization may be several tokens, and is called neither
// forged nor revoked.
func TestIssuerJSONSerialization(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, "issuer "+as.URL)
	token := as.token(nil)
	parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	a := c.post(t, url.Values{"token": {parsed.FullSerialize()}}, "backend", "backend-secret")
	invalidRequest.check(t, http.MethodPost, a)
	if a := c.bearer(t, token); a.status != http.StatusOK {
		t.Errorf("at the gate: %d", a.status)
	}
	c.revoke(t, token)
	request, err := http.NewRequest(http.MethodGet, c.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Token", parsed.FullSerialize())
	if a := do(t, request); a.status != http.StatusUnauthorized {
		t.Errorf("in JSON serialization at the gate: %d", a.status)
	}
}

func TestIssuerOptions(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, "issuer "+as.URL+" {\n audience api other-api\n client_claim app\n session_claim session\n}", "revoke session")
	for _, r := range []revocationRequest{
		{name: "audience", token: as.token(claimSet{"app": "backend"}), want: success},
		{name: "one of several", token: as.token(claimSet{"aud": []string{"x", "other-api"}}), want: success},
		{name: "another audience", token: as.token(claimSet{"aud": "x"}), want: success, lives: true},
		{name: "no audience", token: as.token(claimSet{"aud": nil}), want: success, lives: true},
		{name: "another client", token: as.token(claimSet{"app": "other"}), want: invalidGrant},
	} {
		t.Run(r.name, func(t *testing.T) { c.try(t, up, r) })
	}
	c.revoke(t, as.token(claimSet{"app": "backend", "session": "s-1", "sid": "s-2"}))
	for _, test := range []struct {
		claims claimSet
		status int
	}{
		{claimSet{"session": "s-1"}, http.StatusUnauthorized},
		{claimSet{"session": "s-2"}, http.StatusOK},
		{claimSet{"sid": "s-2"}, http.StatusOK},
	} {
		if a := c.bearer(t, as.token(test.claims)); a.status != test.status {
			t.Errorf("%v: %d", test.claims, a.status)
		}
	}
}

// While the keys cannot be had, nothing is promised; once they can, it is.
func TestIssuerAway(t *testing.T) {
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, as := newUpstream(t), newAuthority(t)
			as.breaks(fault)
			c := judged(t, up, "issuer "+as.URL)
			token := as.token(nil)
			c.try(t, up, revocationRequest{token: token, want: unavailable})
			c.try(t, up, revocationRequest{want: success}) // an opaque token is of no issuer
			as.breaks(nil)
			c.revokeInTime(t, token)
			if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
				t.Errorf("at the gate: %d", a.status)
			}
			// What is known stays known.
			as.breaks(fault)
			c.try(t, up, revocationRequest{token: as.token(nil), want: success})
		})
	}
}

// revokeInTime revokes a token, as often as the answer is to try again.
func (c *caddy) revokeInTime(t *testing.T, token string) {
	t.Helper()
	waitFor(t, 30*time.Second, func() error {
		a := c.post(t, url.Values{"token": {token}}, "backend", "backend-secret")
		if a.status == http.StatusOK {
			return nil
		}
		if unavailable.check(t, http.MethodPost, a); t.Failed() {
			return nil
		}
		return errors.New("it stays unavailable")
	})
}

// A new key is found when the first token comes that it has signed. Of a token
// whose key may be newer than what was just fetched, nobody says it is forged.
func TestIssuerRotates(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	c := judged(t, up, "issuer "+as.URL)
	old := as.token(nil)
	c.try(t, up, revocationRequest{token: as.token(nil), want: success})
	as.rotate()
	c.try(t, up, revocationRequest{token: as.token(nil), want: success})
	c.try(t, up, revocationRequest{token: old, want: success})
	as.rotate()
	for range 20 {
		c.try(t, up, revocationRequest{token: as.token(nil), want: unavailable})
	}
	if n := as.times("/jwks"); n != 2 {
		t.Errorf("the keys were fetched %d times", n)
	}
	// A reload goes on with what is known, whatever becomes of the server.
	as.breaks(http.NotFound)
	if err := c.reload(judgedConfig("issuer "+as.URL, "realm other")); err != nil {
		t.Fatal(err)
	}
	as.mu.Lock()
	as.signs = as.keys[0]
	as.mu.Unlock()
	c.try(t, up, revocationRequest{token: as.token(nil), want: success})
}
