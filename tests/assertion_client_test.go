package tests

import (
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
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	jwtlib "github.com/golang-jwt/jwt/v5"
)

type object = map[string]any

// keyring is a private key of every kind that clients sign with, and some more.
var keyring = sync.OnceValues(func() (map[string]crypto.Signer, error) {
	list := map[string]crypto.Signer{}
	var err error
	keep := func(name string, key crypto.Signer, failed error) {
		if list[name] = key; failed != nil {
			err = failed
		}
	}
	rsaKey, failed := rsa.GenerateKey(rand.Reader, 2048)
	keep("RSA", rsaKey, failed)
	for name, curve := range map[string]elliptic.Curve{
		"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521(), "second": elliptic.P256(), "stranger": elliptic.P256(),
	} {
		key, failed := ecdsa.GenerateKey(curve, rand.Reader)
		keep(name, key, failed)
	}
	_, ed, failed := ed25519.GenerateKey(rand.Reader)
	keep("Ed", ed, failed)
	return list, err
})

// kindOf is the kind of key that an algorithm is for.
var kindOf = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed", "Ed25519": "Ed",
}

func privateKey(t *testing.T, name string) crypto.Signer {
	t.Helper()
	list, err := keyring()
	if err != nil {
		t.Fatal(err)
	}
	return list[name]
}

// keySet is a JWK Set of public keys.
func keySet(t *testing.T, names ...string) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, name := range names {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: privateKey(t, name).Public(), KeyID: name, Use: "sig"})
	}
	return encodeJSON(t, set)
}

func encodeJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyHost publishes a JWK Set, and counts who asks for it.
type keyHost struct {
	*httptest.Server
	asked    atomic.Int64
	document atomic.Pointer[[]byte] // nil while the host is down
}

func newKeyHost(t *testing.T, document []byte) *keyHost {
	h := &keyHost{}
	h.document.Store(&document)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.asked.Add(1)
		document := h.document.Load()
		if document == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(*document)
	}))
	t.Cleanup(h.Close)
	return h
}

// asserter signs assertions for a Caddy, with another library than the one that
// verifies them.
type asserter struct {
	*caddy
	t  *testing.T
	up *upstream
}

var assertions atomic.Int64

// assertion is a right one of a client, but for some claims and header
// parameters; nil takes one away.
func (a asserter) assertion(client, alg string, key any, header, claims object) string {
	a.t.Helper()
	h := object{"alg": alg, "typ": "JWT"}
	c := object{
		"iss": client, "sub": client, "aud": a.url + "/token/revocation", "jti": fmt.Sprint(assertions.Add(1)),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	maps.Copy(h, header)
	maps.Copy(c, claims)
	for _, o := range []object{h, c} {
		maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
	}
	signing := alg
	switch alg {
	case "Ed25519":
		signing = "EdDSA"
	case "none":
		key = jwtlib.UnsafeAllowNoneSignatureType
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(encodeJSON(a.t, h)) + "." + encode(encodeJSON(a.t, c))
	signature, err := jwtlib.GetSigningMethod(signing).Sign(input, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return confidential.add(input + "." + encode(signature))
}

// signed is an assertion with ES256 and the key of that name.
func (a asserter) signed(client, key string, claims object) string {
	a.t.Helper()
	return a.assertion(client, "ES256", privateKey(a.t, key), object{"kid": key}, claims)
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionForm is the body of a request with an assertion, and what more stands there.
func assertionForm(assertion string, more ...string) string {
	f := url.Values{"client_assertion": {assertion}, "client_assertion_type": {assertionType}}
	for i := 0; i < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return "token=TOKEN&" + f.Encode()
}

// present has a token revoked with an assertion, and checks all that has to come
// of it.
func (a asserter) present(name, assertion string, want wanted, more ...string) {
	a.t.Helper()
	a.t.Run(name, func(t *testing.T) {
		t.Helper()
		a.try(t, a.up, revocationRequest{header: elsewhere(), body: assertionForm(assertion, more...), want: want})
	})
}

// elsewhere is the header of a request without credentials that comes through a
// proxy from an address where nobody has failed yet.
func elsewhere() http.Header {
	n := assertions.Add(1)
	return without("Authorization", "X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff))
}
