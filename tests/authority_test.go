package tests

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// authority is an authorization server: it signs tokens, publishes its keys and
// metadata, and answers introspection.
type authority struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	fault  http.HandlerFunc // answers everything while it is not nil
	keys   []jose.JSONWebKey
	signs  jose.JSONWebKey            // the newest of keys
	active map[string]json.RawMessage // by token, what introspection says
	asked  map[string]int             // by path
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, active: map[string]json.RawMessage{}, asked: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", a.metadata)
	mux.HandleFunc("GET /jwks", a.jwks)
	mux.HandleFunc("POST /introspect", a.introspect)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		fault := a.fault
		a.asked[r.URL.Path]++
		a.mu.Unlock()
		if fault != nil {
			fault(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	a.rotate()
	return a
}

// breaks makes it answer everything in a way; nil mends it.
func (a *authority) breaks(fault http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// times is how often a path was asked for.
func (a *authority) times(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[path]
}

// rotate signs with a new key from now on, and publishes it beside the old ones.
func (a *authority) rotate() {
	key := newIssuerKey(a.t)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = append(a.keys, key)
	a.signs = key
}

func newIssuerKey(t *testing.T) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: rand.Text(), Algorithm: "ES256", Use: "sig"}
}

func (a *authority) metadata(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]string{"issuer": a.URL, "jwks_uri": a.URL + "/jwks"})
}

func (a *authority) jwks(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set := jose.JSONWebKeySet{}
	for _, key := range a.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	reply(w, set)
}

func (a *authority) introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != "gateway" || secret != "gateway-secret" {
		http.Error(w, "who?", http.StatusUnauthorized)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer, ok := a.active[r.PostFormValue("token")]; ok {
		reply(w, answer)
		return
	}
	reply(w, map[string]bool{"active": false})
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// knows makes introspection say something about a token.
func (a *authority) knows(token, answer string) string {
	confidential.add(token)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.active[token] = json.RawMessage(answer)
	return token
}

type claimSet map[string]any

// token signs an access token of the client backend that ends in an hour, with
// claims instead of those that it has, or beside them; nil takes one away.
func (a *authority) token(changed claimSet) string { return a.tokenOf("at+jwt", changed) }

func (a *authority) tokenOf(typ string, changed claimSet) string {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	all := claimSet{
		"iss": a.URL, "sub": "alice", "aud": "api", "client_id": "backend", "jti": rand.Text(),
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	}
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return signed(a.t, a.signs, typ, all)
}

// signed is a token of whoever has the key.
func signed(t *testing.T, key jose.JSONWebKey, typ string, all claimSet) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	made, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := made.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return confidential.add(compact)
}

// faults are ways to be of no use.
func faults(t *testing.T) map[string]http.HandlerFunc {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return map[string]http.HandlerFunc{
		"503":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"404":      http.NotFound,
		"nonsense": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") },
		"hung up": func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
		"silence": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice who goes
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
	}
}

// judgedSite has lines of the global block at JUDGES and of the directive at
// EXTRA.
const judgedSite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		JUDGES
		client backend {
			secret backend-secret
		}
		client other {
			secret other-secret
		}
		client webapp {
			auth none
		}
	}
}
http://localhost:PORT {
	token_revocation {
		token header X-Token
		token cookie at
		rate_limit 1000000 1s
		EXTRA
	}
	reverse_proxy UPSTREAM
}
`
