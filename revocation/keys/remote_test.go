package keys

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// host publishes a document, and counts how often it is fetched.
type host struct {
	*httptest.Server
	fetched atomic.Int64
	mu      sync.Mutex
	answer  http.HandlerFunc
}

func newHost(t *testing.T, document []byte) *host {
	h := &host{}
	h.publish(document)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.fetched.Add(1)
		h.mu.Lock()
		answer := h.answer
		h.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) do(answer http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func (h *host) publish(document []byte) {
	h.do(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
}

func (h *host) fail() { h.do(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }) }

// clock is a time that goes on when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// asker asks a remote set, and says how often that has led to a fetch.
type asker struct {
	*testing.T
	*Remote
	*host
	*clock
}

func newAsker(t *testing.T, document []byte) asker {
	h, c := newHost(t, document), newClock()
	r, err := NewRemote(RemoteConfig{URL: h.URL, Client: h.Client(), Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return asker{t, r, h, c}
}

// ask wants a key to be there or not, or an error, after so many fetches since
// the last time.
func (a asker) ask(kid string, found bool, err error, fetches int64) {
	a.T.Helper()
	before := a.fetched.Load()
	keys, got := a.Find(a.Context(), kid, "ES256")
	if !errors.Is(got, err) || (len(keys) > 0) != found || a.fetched.Load()-before != fetches {
		a.Errorf("%s: %d keys, %v, %d fetches", kid, len(keys), got, a.fetched.Load()-before)
	}
}

func TestRemote(t *testing.T) {
	one, two := jwk(t, private()["P-256"], `,"kid":"one"`), jwk(t, private()["P-256 2"], `,"kid":"two"`)
	a := newAsker(t, document(one))
	a.ask("one", true, nil, 1) // at first need
	a.ask("one", true, nil, 0)

	a.publish(document(one, two)) // rotation
	a.ask("two", true, nil, 1)
	a.ask("three", false, nil, 0)
	a.pass(unknownPause - 1)
	a.ask("three", false, nil, 0)
	a.pass(1)
	a.ask("three", false, nil, 1) // at most once a minute
	a.ask("four", false, nil, 0)

	a.publish(document(two))
	a.pass(maxAge - 1)
	a.ask("one", true, nil, 0)
	a.pass(1)
	a.ask("one", false, nil, 1) // withdrawn
	a.ask("two", true, nil, 0)

	a.fail()
	a.pass(maxAge)
	a.ask("two", true, nil, 1)             // stale
	a.ask("one", false, ErrUnavailable, 0) // who knows?
	a.ask("two", true, nil, 0)
	a.pass(stalePause)
	a.ask("two", true, nil, 1)
	a.pass(1000 * time.Hour)
	a.ask("two", true, nil, 1)
	a.publish(document(one))
	a.pass(stalePause)
	a.ask("one", true, nil, 1)
	a.ask("two", false, nil, 0)
}

// While there is no document at all, it is asked for every few seconds.
func TestRemoteDownFromTheStart(t *testing.T) {
	one := jwk(t, private()["P-256"], `,"kid":"one"`)
	a := newAsker(t, nil)
	for name, answer := range map[string]http.HandlerFunc{
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"404":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); _, _ = w.Write(document(one)) },
		"204":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"HTML":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document()) },
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(document(one), make([]byte, 2<<20)...))
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(document(one))
		},
		"hangs up":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"private keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document(one, `{"kty":"oct","k":"AA"}`)) },
	} {
		a.do(answer)
		a.pass(emptyPause)
		before := a.fetched.Load()
		if keys, err := a.Find(t.Context(), "one", "ES256"); !errors.Is(err, ErrUnavailable) || len(keys) != 0 {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
		if a.fetched.Load() == before {
			t.Errorf("%s: not fetched", name)
		}
		a.publish(document(one))
		a.pass(emptyPause - 1)
		a.ask("one", false, ErrUnavailable, 0)
		a.pass(1)
		a.fail()
		a.ask("one", false, ErrUnavailable, 1)
	}
	a.publish(document(one))
	a.pass(emptyPause)
	a.ask("one", true, nil, 1)
}

func TestRemoteCacheControl(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": maxAge, "max-age=600": 10 * time.Minute, "public, MAX-AGE=600": 10 * time.Minute, "max-age=86400": maxAge, "max-age=0": minAge,
		"max-age=x": maxAge, "max-age=-1": maxAge, `max-age="120"`: 2 * time.Minute, "no-cache": minAge, "max-age=600, no-store": minAge, "max-age": maxAge,
		"max-age=99999999999999999999": maxAge, "s-maxage=60": maxAge,
	} {
		a := newAsker(t, nil)
		a.do(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", value)
			_, _ = w.Write(document(jwk(t, private()["P-256"], "")))
		})
		a.ask("", true, nil, 1)
		a.pass(want - 1)
		a.ask("", true, nil, 0)
		a.pass(1)
		a.ask("", true, nil, 1)
	}
}

// Of many that ask at once one fetches, and one that gives up does not spoil it.
func TestRemoteOneFetchAtATime(t *testing.T) {
	a := newAsker(t, nil)
	arrived, proceed := make(chan struct{}, 100), make(chan struct{})
	a.do(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-proceed
		_, _ = w.Write(document(jwk(t, private()["P-256"], `,"kid":"one"`)))
	})
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 100)
	ask := func(ctx context.Context) {
		keys, err := a.Find(ctx, "one", "ES256")
		if err == nil && len(keys) != 1 {
			err = errors.New("not found")
		}
		results <- err
	}
	go ask(ctx)
	<-arrived
	cancel()
	for range 20 {
		go ask(t.Context())
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	ask(gone)
	if err := <-results; !errors.Is(err, ErrUnavailable) {
		t.Errorf("one that does not wait: %v", err)
	}
	close(proceed)
	for range 21 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := a.fetched.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}

	// With an old document nobody waits but the one who fetches.
	proceed = make(chan struct{})
	a.pass(maxAge)
	go ask(t.Context())
	<-arrived
	for range 20 {
		a.ask("one", true, nil, 0)
	}
	if len(results) > 0 {
		t.Error("they waited until the fetch was over")
	}
	close(proceed)
	if err := <-results; err != nil {
		t.Error(err)
	}
}

// A host that accepts and says nothing costs a bounded time, and no goroutine.
func TestRemoteHangs(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	one := jwk(t, private()["P-256"], `,"kid":"one"`)
	h, c := newHost(t, document(one)), newClock()
	defer h.Close()
	release := make(chan struct{})
	hang := func(half bool) {
		h.do(func(w http.ResponseWriter, r *http.Request) {
			if half {
				_, _ = w.Write(document(one)[:10])
				w.(http.Flusher).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-release:
			}
		})
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{}} // long enough for what does not hang
	defer client.CloseIdleConnections()
	r := must(NewRemote(RemoteConfig{URL: h.URL, Client: client, Now: c.Now}))
	a := asker{t, r, h, c}
	for _, half := range []bool{false, true} {
		hang(half)
		a.ask("one", false, ErrUnavailable, 1)
		a.ask("one", false, ErrUnavailable, 0)
		a.pass(emptyPause)
	}
	h.publish(document(one))
	a.ask("one", true, nil, 1)
	a.pass(maxAge)
	hang(true)
	a.ask("one", true, nil, 1)
	close(release)
}

// Redirects are followed, a few, and never away from TLS.
func TestRemoteRedirects(t *testing.T) {
	one := jwk(t, private()["P-256"], "")
	plain := newHost(t, document(one))
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	var secure *httptest.Server
	secure = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := strings.Count(r.URL.Path, "x"); {
		case r.URL.Path == "/plain":
			redirect(plain.URL)(w, r)
		case r.URL.Path == "/file":
			redirect("file:///etc/hostname")(w, r)
		case n > 0:
			redirect(secure.URL+"/"+strings.Repeat("x", n-1))(w, r)
		default:
			_, _ = w.Write(document(one))
		}
	}))
	defer secure.Close()
	for path, found := range map[string]bool{"/": true, "/x": true, "/xxx": true, "/xxxx": false, "/plain": false, "/file": false} {
		r := must(NewRemote(RemoteConfig{URL: secure.URL + path, Client: secure.Client()}))
		if keys, err := r.Find(t.Context(), "", "ES256"); (err == nil && len(keys) == 1) != found {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n := plain.fetched.Load(); n != 0 {
		t.Errorf("%d requests without TLS", n)
	}
}

func TestNewRemoteMistakes(t *testing.T) {
	for _, url := range []string{"", "keys.json", "/keys.json", "file:///keys.json", "ftp://host/keys", "https://", "https:///keys", "http://[::1", "data:application/json,{}"} {
		if _, err := NewRemote(RemoteConfig{URL: url}); err == nil {
			t.Errorf("%q is accepted", url)
		}
	}
}

// A certificate that is not there yet is looked for as a key is.
func TestRemoteHolds(t *testing.T) {
	c := certificate(t, private()["P-256"], 1)
	a := newAsker(t, document(jwk(t, private()["P-256"], "")))
	hold := func(want bool, fetches int64) {
		t.Helper()
		before := a.fetched.Load()
		if held, err := a.Holds(t.Context(), c); err != nil || held != want || a.fetched.Load()-before != fetches {
			t.Errorf("%v %v, %d fetches", held, err, a.fetched.Load()-before)
		}
	}
	hold(false, 1)
	a.publish(document(jwk(t, private()["P-256"], `,"x5c":["`+stdEncode(c.Raw)+`"]`)))
	hold(true, 1)
	hold(true, 0)
}
