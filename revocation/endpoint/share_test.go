package endpoint

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// A client that has as many records as it may can revoke nothing more, except
// what it has revoked already; and others are not concerned.
func TestShareOfAClient(t *testing.T) {
	for name, change := range map[string]func(*Config){"relay": func(*Config) {}, "alone": func(c *Config) { c.Relay = nil }} {
		t.Run(name, func(t *testing.T) {
			s := newRelayed(t, change)
			for _, form := range []string{"token=a", "token=a", "token=b", "token=b", "token=a"} {
				if done, w := s.serve(request(form)); w.Code != 200 {
					t.Fatalf("%s: %+v", form, done)
				}
			}
			asked := s.asked.Load()
			done, w := s.serve(request("token=c"))
			wait, err := time.ParseDuration(w.Header().Get("Retry-After") + "s")
			if w.Code != 429 || err != nil || wait < 50*time.Minute || wait > time.Hour || s.asked.Load() != asked {
				t.Errorf("%d %v %+v", w.Code, w.Header(), done)
			}
			if _, revoked := s.revoked("c"); revoked {
				t.Error("it was stored")
			}
			if _, w := s.serve(request("token=b")); w.Code != 200 {
				t.Errorf("again: %d", w.Code)
			}
			if _, w := s.serve(anonymous("token=c&client_id=public")); w.Code != 200 {
				t.Errorf("another client: %d", w.Code)
			}
			if _, w := s.serve(request("token=c")); w.Code != 200 {
				t.Errorf("what another client has revoked: %d", w.Code)
			}
		})
	}
}

// Side by side nobody gets more than a request each beyond a share.
func TestShareSideBySide(t *testing.T) {
	s := newRelayed(t, func(c *Config) { c.Relay = nil })
	var wg sync.WaitGroup
	for _, name := range strings.Split("abcdefghijklmnopqrst", "") {
		wg.Go(func() { _, _ = s.serve(request("token=" + name)) })
	}
	wg.Wait()
	if _, w := s.serve(request("token=z")); w.Code != 429 {
		t.Error(w.Code)
	}
}
