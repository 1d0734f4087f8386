package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// host serves documents by path, and notes what is asked for.
type host struct {
	*httptest.Server
	mu        sync.Mutex
	documents map[string]string
	asked     []string
}

func newHost(t *testing.T) *host {
	h := &host{documents: map[string]string{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, r.URL.Path)
	document, ok := h.documents[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if to, ok := strings.CutPrefix(document, "to "); ok {
		http.Redirect(w, r, to, http.StatusFound)
		return
	}
	_, _ = fmt.Fprint(w, document)
}

func (h *host) set(path, document string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.documents[path] = document
}

// took returns what was asked for since the last time.
func (h *host) took() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

func (h *host) metadata(issuer, jwks string) string {
	return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, h.URL+issuer, h.URL+jwks)
}

const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"

// ask judges a fresh token of an issuer.
func (h *host) ask(t *testing.T, i *Issuer, s signer) (endpoint.Facts, error) {
	t.Helper()
	facts, _, err := i.Judge(t.Context(), s.sign(`{"iss":"`+i.URL()+`"}`))
	return facts, err
}

func TestDiscovery(t *testing.T) {
	s := newSigner(t, "1")
	for _, test := range []struct {
		issuer, place string
		asked         []string
	}{
		{"", oidc, []string{oidc, "/jwks"}},
		{"/", oidc, []string{oidc, "/jwks"}},
		{"/realm", "/realm" + oidc, []string{"/realm" + oidc, "/jwks"}},
		{"/a/realm/", "/a/realm" + oidc, []string{"/a/realm" + oidc, "/jwks"}},
		{"", oauth, []string{oidc, oauth, "/jwks"}},
		{"/a/realm", oauth + "/a/realm", []string{"/a/realm" + oidc, oauth + "/a/realm", "/jwks"}},
		{"/a/realm/", oauth + "/a/realm", []string{"/a/realm" + oidc, oauth + "/a/realm", "/jwks"}},
	} {
		h := newHost(t)
		h.set(test.place, h.metadata(test.issuer, "/jwks"))
		h.set("/jwks", string(document(s)))
		i, err := New(Config{URL: h.URL + test.issuer})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if facts, err := h.ask(t, i, s); err != nil || !facts.Active {
				t.Errorf("%+v: %+v %v", test, facts, err)
			}
		}
		if asked := h.took(); !slices.Equal(asked, test.asked) {
			t.Errorf("%+v: asked for %q", test, asked)
		}
	}
}

// Metadata that is not the issuer's leads nowhere, and is no reason to call its
// tokens forged.
func TestNoMetadata(t *testing.T) {
	s := newSigner(t, "1")
	elsewhere, jwks := newHost(t), string(document(s))
	for name, document := range map[string]func(h *host) string{
		"another issuer's": func(h *host) string { return h.metadata("/other", "/jwks") },
		"with a slash":     func(h *host) string { return h.metadata("/realm/", "/jwks") },
		"nobody's":         func(h *host) string { return `{"jwks_uri":"` + h.URL + `/jwks"}` },
		"no jwks_uri":      func(h *host) string { return `{"issuer":"` + h.URL + `/realm"}` },
		"a relative one":   func(h *host) string { return `{"issuer":"` + h.URL + `/realm","jwks_uri":"/jwks"}` },
		"a file":           func(h *host) string { return `{"issuer":"` + h.URL + `/realm","jwks_uri":"file:///etc/passwd"}` },
		"HTML":             func(*host) string { return `<html>` },
		"nothing":          func(*host) string { return `` },
		"a redirect":       func(*host) string { return "to " + elsewhere.URL },
		"too much": func(h *host) string {
			return strings.Replace(h.metadata("/realm", "/jwks"), "{", `{"x":"`+strings.Repeat("x", maxMetadata)+`",`, 1)
		},
	} {
		h := newHost(t)
		h.set("/realm"+oidc, document(h))
		h.set("/jwks", jwks)
		i, err := New(Config{URL: h.URL + "/realm"})
		if err != nil {
			t.Fatal(err)
		}
		if facts, err := h.ask(t, i, s); !errors.Is(err, keys.ErrUnavailable) || facts.Active {
			t.Errorf("%s: %+v %v", name, facts, err)
		}
		if asked := h.took(); slices.Contains(asked, "/jwks") {
			t.Errorf("%s: asked for %q", name, asked)
		}
	}
	if asked := elsewhere.took(); len(asked) > 0 {
		t.Errorf("a redirect led to %q", asked)
	}
}

// Metadata that came by TLS leads to no keys without.
func TestDiscoveryKeepsTLS(t *testing.T) {
	for issuer, want := range map[string]map[string]bool{
		"https://idp.example": {"https://keys.example/jwks": true, "http://idp.example/jwks": false, "HTTP://idp.example/jwks": false},
		"http://idp.example":  {"https://keys.example/jwks": true, "http://keys.example/jwks": true, "ftp://keys.example/jwks": false},
	} {
		d, err := Discover(issuer, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for jwks, ok := range want {
			if _, err := d.remote(jwks); (err == nil) != ok {
				t.Errorf("%s to %s: %v", issuer, jwks, err)
			}
		}
	}
}

// An attempt that failed is made again, but not at the pace of whoever asks; and
// what was known stays known.
func TestDiscoveryAgain(t *testing.T) {
	s, next, clock, h := newSigner(t, "1"), newSigner(t, "2"), new(clock), newHost(t)
	i, err := New(Config{URL: h.URL, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	fails := func(asked ...string) {
		t.Helper()
		if _, err := h.ask(t, i, s); !errors.Is(err, keys.ErrUnavailable) {
			t.Error(err)
		}
		if got := h.took(); !slices.Equal(got, asked) {
			t.Errorf("asked for %q", got)
		}
	}
	succeeds := func(s signer, asked ...string) {
		t.Helper()
		if facts, err := h.ask(t, i, s); err != nil || !facts.Active {
			t.Errorf("%+v %v", facts, err)
		}
		if got := h.took(); !slices.Equal(got, asked) {
			t.Errorf("asked for %q", got)
		}
	}
	fails(oidc, oauth)
	fails()
	h.set(oidc, h.metadata("", "/jwks"))
	h.set("/jwks", string(document(s)))
	clock.move(discoveryPause - time.Nanosecond)
	fails()
	clock.move(time.Nanosecond)
	succeeds(s, oidc, "/jwks")
	succeeds(s)
	// A day later: elsewhere, then nowhere.
	clock.move(discoveryAge)
	h.set(oidc, h.metadata("", "/keys"))
	h.set("/keys", string(document(s, next)))
	succeeds(next, oidc, "/keys")
	clock.move(discoveryAge)
	h.set(oidc, "gone")
	h.set("/keys", "gone")
	succeeds(s, oidc, oauth, "/keys")
	succeeds(s)
	clock.move(discoveryStale)
	succeeds(s, oidc, oauth, "/keys")
}

// Where something is known, nobody but the one who fetches waits for metadata.
func TestDiscoveryHangs(t *testing.T) {
	s, clock := newSigner(t, "1"), new(clock)
	fetching, release := make(chan struct{}), make(chan struct{})
	hangs := false
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			_, _ = w.Write(document(s))
			return
		}
		if hangs {
			fetching <- struct{}{}
			<-release
		}
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/jwks")
	}))
	defer server.Close()
	set, err := Discover(server.URL, nil, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	finds := func() {
		t.Helper()
		if found, err := set.Find(t.Context(), "1", "ES256"); err != nil || len(found) != 1 {
			t.Errorf("%v %v", found, err)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if found, err := set.Find(gone, "1", "ES256"); err != nil || len(found) != 1 { // it is for the others, too
		t.Errorf("%v %v", found, err)
	}
	finds()
	hangs = true
	clock.move(discoveryAge)
	var wg sync.WaitGroup
	wg.Go(finds)
	<-fetching
	for range 10 {
		finds()
	}
	close(release)
	wg.Wait()

	// Where nothing is known, all wait, and each no longer than it wants to.
	release = make(chan struct{})
	if set, err = Discover(server.URL, nil, clock.now); err != nil {
		t.Fatal(err)
	}
	wg.Go(finds)
	<-fetching
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := set.Find(ctx, "1", "ES256"); !errors.Is(err, keys.ErrUnavailable) {
		t.Error(err)
	}
	wg.Go(finds)
	close(release)
	wg.Wait()
}

// What a copy of the keys lacks may have been published since: the first to ask
// has it fetched, and nobody is told of a forgery before the next may.
func TestRotation(t *testing.T) {
	s, clock, h := newSigner(t, "1"), new(clock), newHost(t)
	h.set(oidc, h.metadata("", "/jwks"))
	h.set("/jwks", string(document(s)))
	remote, err := keys.NewRemote(keys.RemoteConfig{URL: h.URL + "/jwks", Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]keys.Set{"discovered": nil, "configured": remote} {
		h.set("/jwks", string(document(s)))
		i, err := New(Config{URL: h.URL, Keys: set, Now: clock.now})
		if err != nil {
			t.Fatal(err)
		}
		wants := func(s signer, active bool, want error) {
			t.Helper()
			clock.move(time.Millisecond)
			if facts, err := h.ask(t, i, s); facts.Active != active || !errors.Is(err, want) {
				t.Errorf("%s: %+v %v", name, facts, err)
			}
		}
		second, third := newSigner(t, "2"), newSigner(t, "3")
		wants(s, true, nil)
		h.set("/jwks", string(document(s, second)))
		wants(second, true, nil)
		h.set("/jwks", string(document(s, second, third)))
		wants(third, false, keys.ErrUnavailable)
		wants(newSigner(t, "1"), false, nil) // forged in any case
		wants(newSigner(t, ""), false, nil)
		for _, kid := range []string{"1", ""} { // no key of theirs has ever been of this kind
			if found, err := i.c.Keys.Find(t.Context(), kid, "RS256"); err != nil || len(found) > 0 {
				t.Errorf("%s: %v %v", name, found, err)
			}
		}
		wants(s, true, nil)
		clock.move(time.Minute)
		wants(third, true, nil)
		clock.move(time.Minute)
		wants(newSigner(t, "4"), false, nil) // fetched for it, and not there
		wants(newSigner(t, "4"), false, keys.ErrUnavailable)
	}
}
