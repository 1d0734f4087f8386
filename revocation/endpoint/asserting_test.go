package endpoint

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// signingKeys are the private keys of clients, by kind.
var signingKeys = sync.OnceValue(func() map[string]crypto.Signer {
	return map[string]crypto.Signer{
		"RSA":   must(rsa.GenerateKey(rand.Reader, 2048)),
		"P-256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"P-384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"P-521": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"Ed":    ed25519.NewKeyFromSeed(random(ed25519.SeedSize)),
		"other": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
	}
})

var kindOf = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed", "Ed25519": "Ed",
}

// publicKeys are what clients have registered of theirs.
func publicKeys(t *testing.T, kinds ...string) *keys.Static {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, kind := range kinds {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: signingKeys()[kind].Public(), KeyID: kind})
	}
	return must(keys.Parse(must(json.Marshal(set))))
}

const (
	longSecret  = "a secret of some sixty-four bytes, which is enough for all of it"
	accepted    = "https://gateway.example/token/revocation"
	alsoAnother = "https://idp.example"
)

// asserting is an endpoint with a real denylist and a clock that stands still,
// for clients with assertions.
type asserting struct {
	*Endpoint
	t     *testing.T
	list  *revocation.Denylist
	now   time.Time
	asked atomic.Int64 // fresh addresses, and tokens
}

func newAsserting(t *testing.T, more ...Client) *asserting {
	t.Helper()
	a := &asserting{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 500_000_000, time.UTC)}
	clock := func() time.Time { return a.now }
	store := must(boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "denylist.db"), 0))
	a.list = must(revocation.Open(t.Context(), store, revocation.Options{CacheBytes: 1 << 20, Now: clock}))
	t.Cleanup(func() { _ = a.list.Close() })
	secret := must(PlainSecret(longSecret))
	a.Endpoint = must(New(Config{
		Clients: clients(t, append(more,
			Client{ID: "keys", Keys: publicKeys(t, "RSA", "P-256", "P-384", "P-521", "Ed")},
			Client{ID: "es256", Keys: publicKeys(t, "RSA", "P-256"), Algorithms: []string{"ES256"}},
			Client{ID: "secret", Secret: secret, Methods: []Method{ClientSecretJWT}},
			Client{ID: "hs512", Secret: secret, Methods: []Method{ClientSecretJWT}, Algorithms: []string{"HS512"}},
			Client{ID: "both", Secret: secret, Keys: publicKeys(t, "RSA"), Methods: []Method{ClientSecretJWT, PrivateKeyJWT, ClientSecretPost}},
			Client{ID: "basic", Secret: secret},
			Client{ID: "public"},
		)...),
		Retain: time.Hour, Now: clock, RateLimit: RateLimit{1 << 20, time.Second},
		Audiences: func(*http.Request) []string { return []string{accepted, alsoAnother} },
		RemoteAddr: func(*http.Request) netip.Addr {
			return netip.AddrFrom16([16]byte{1: byte(a.asked.Add(1) >> 8), 2: byte(a.asked.Load())})
		},
	}))
	return a
}

type object = map[string]any

// good is what a right assertion of a client says.
func (a *asserting) good(client string) object {
	return object{
		"iss": client, "sub": client, "aud": accepted, "jti": fmt.Sprint("jti ", a.asked.Add(1)),
		"exp": a.now.Unix() + 60, "iat": a.now.Unix(),
	}
}

func (a *asserting) with(client string, claims object) string {
	good := a.good(client)
	for name, value := range claims {
		if good[name] = value; value == nil {
			delete(good, name)
		}
	}
	return string(must(json.Marshal(good)))
}

func header(alg string, more object) string {
	h := object{"alg": alg}
	maps.Copy(h, more)
	return string(must(json.Marshal(h)))
}

// signedBy signs with another library than the one that verifies.
func signedBy(alg string, key any, header, payload string) string {
	if alg == "Ed25519" {
		alg = "EdDSA"
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(must(jwt.GetSigningMethod(alg).Sign(input, key)))
}

// es256 is an assertion of the client "keys", which is right but for some claims.
func (a *asserting) es256(claims object) string {
	return signedBy("ES256", signingKeys()["P-256"], header("ES256", nil), a.with("keys", claims))
}

// revoke has a token revoked, and wants that to be answered and done, or not.
func (a *asserting) revoke(name, assertion string, more url.Values, want int) (body string) {
	a.t.Helper()
	presented := fmt.Sprint("token ", a.asked.Add(1))
	form := url.Values{"token": {presented}, "client_assertion": {assertion}, "client_assertion_type": {assertionType}}
	for field, values := range more {
		if form[field] = values; values == nil {
			delete(form, field)
		}
	}
	before := a.list.Stats().Total()
	w, done := a.send(form)
	if w.Code != want {
		a.t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, want)
	}
	if want == http.StatusUnauthorized && (!strings.Contains(w.Body.String(), `"invalid_client"`) || done.Err != nil || w.Header().Get("WWW-Authenticate") != "") {
		a.t.Errorf("%s: %s %v %v", name, w.Body, w.Header(), done.Err)
	}
	outcome, stored := revocation.Clear, 0
	if want == http.StatusOK {
		outcome, stored = revocation.Revoked, 2 // the token, and that the assertion was used
	}
	key := token.Identify(presented).Key
	if got := a.list.Check(&key); got.Outcome != outcome {
		a.t.Errorf("%s: the token is %+v", name, got)
	}
	if got := a.list.Stats().Total() - before; got != stored {
		a.t.Errorf("%s: %d records were stored, want %d", name, got, stored)
	}
	if said := fmt.Sprintf("%+v %s %v", done, w.Body, w.Header()); assertion != "" && strings.Contains(said, assertion) {
		a.t.Errorf("%s: it tells what was sent: %s", name, said)
	}
	return w.Body.String()
}

func (a *asserting) send(form url.Values) (*httptest.ResponseRecorder, Outcome) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/token/revocation", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w, a.Serve(func(context.Context) (*revocation.Denylist, error) { return a.list, nil }, w, r)
}
