package tests

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// crowd sends requests from several goroutines over connections of its own.
type crowd struct {
	c      *caddy
	client *http.Client
}

func newCrowd(t *testing.T, c *caddy, size int) *crowd {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: size, MaxConnsPerHost: size}
	t.Cleanup(transport.CloseIdleConnections)
	return &crowd{c: c, client: &http.Client{Transport: transport}}
}

// persist makes the crowd send a request again whose connection broke before it
// was answered: a reload leaves those behind that it did not accept any more.
func (cr *crowd) persist() { cr.client.Transport = persistent{cr.client.Transport} }

type persistent struct{ http.RoundTripper }

func (p persistent) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	for range 10 {
		if answer, err = p.RoundTripper.RoundTrip(r); err == nil {
			return answer, nil
		}
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
	return nil, err
}

// get asks the API with a token, and says in a header field whether the token's
// revocation was answered before the request began.
func (cr *crowd) get(token string, revoked bool) (status int, err error) {
	request, err := http.NewRequest(http.MethodGet, cr.c.url+"/api", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if revoked {
		request.Header.Set("X-Revoked-Before", "yes")
	}
	return cr.send(request)
}

// revoke revokes a token as the public client. A reload of Caddy closes idle
// connections, perhaps under a request: that one is sent again, as any client
// of a server that closes connections has to.
func (cr *crowd) revoke(token string) (status int, err error) {
	status, err = cr.revokeOnce(token)
	if err != nil {
		return cr.revokeOnce(token)
	}
	return status, nil
}

func (cr *crowd) revokeOnce(token string) (status int, err error) {
	form := url.Values{"token": {token}, "client_id": {"webapp"}}
	request, err := http.NewRequest(http.MethodPost, cr.c.url+"/token/revocation", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return cr.send(request)
}

func (cr *crowd) send(request *http.Request) (status int, err error) {
	answer, err := cr.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// numbered are tokens with numbers, and which of them were revoked with success.
// All have the same beginning, which is what is confidential of them.
type numbered struct {
	prefix  string
	revoked []atomic.Bool
}

func newNumbered(prefix string, n int) *numbered {
	return &numbered{prefix: confidential.add(prefix + "-" + rand.Text()), revoked: make([]atomic.Bool, n)}
}

func (k *numbered) name(i int) string { return fmt.Sprintf("%s|%d", k.prefix, i) }

// complaints gathers what went wrong in many goroutines, but not all of it.
type complaints struct {
	mu   sync.Mutex
	n    int
	said bytes.Buffer
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n <= 10 {
		_, _ = fmt.Fprintf(&c.said, format+"\n", args...)
	}
}

func (c *complaints) report(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n > 0 {
		t.Errorf("%d times, for example:\n%s", c.n, c.said.String())
	}
}

// watchful is an API that complains about a request that should not have
// reached it.
func watchful(wrong *complaints) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Revoked-Before") != "" {
			wrong.add("%s reached the upstream after its revocation was answered", r.Header.Get("Authorization"))
		}
		_, _ = io.WriteString(w, "ok")
	})
}

// keepBusy sends traffic, from two times the given goroutines, until it is stopped.
func (cr *crowd) keepBusy(k *numbered, goroutines int, wrong *complaints) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stopped.Load() {
				cr.traffic(k, goroutines, 200, wrong, nil)
			}
		})
	}
	return func() {
		stopped.Store(true)
		wg.Wait()
	}
}

// traffic sends n requests with random tokens, of which the first len(revoked)
// may be revoked meanwhile, and the rest, which have "valid" in their names, never are. After each
// it calls done with how many there were.
func (cr *crowd) traffic(k *numbered, goroutines, n int, wrong *complaints, done func(int)) {
	var count atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; ; i += 7 {
				sent := int(count.Add(1))
				if sent > n {
					return
				}
				token, revoked := fmt.Sprintf("%s|valid|%d", k.prefix, i), false
				if i%2 == 0 {
					token = k.name(i / 2 % len(k.revoked))
					revoked = k.revoked[i/2%len(k.revoked)].Load()
				}
				status, err := cr.get(token, revoked)
				switch {
				case err != nil:
					wrong.add("%s: %v", token, err)
				case i%2 == 1 && status != http.StatusOK:
					wrong.add("%s: %d, although it was never revoked", token, status)
				case revoked && status != http.StatusUnauthorized:
					wrong.add("%s: %d, although its revocation had been answered", token, status)
				case status != http.StatusOK && status != http.StatusUnauthorized:
					wrong.add("%s: %d", token, status)
				}
				if done != nil {
					done(sent)
				}
			}
		})
	}
	wg.Wait()
}
