package tests

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A request that comes before the denylist is loaded waits, or is turned away:
// no revoked token passes, however early it is sent.
func TestEarlyRequests(t *testing.T) {
	const goroutines = 8
	revocations := 20_000
	if raceFlag == "-race=true" { // which makes all of it ten times slower
		revocations = 2_000
	}
	up := newUpstream(t)
	c := start(t, siteWith(), up)
	crowd := newCrowd(t, c, 32)
	k := newNumbered("early", revocations)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 32 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= revocations {
					return
				}
				if status, err := crowd.revoke(k.name(i)); err != nil || status != http.StatusOK {
					t.Errorf("revoking: %d %v", status, err)
					return
				}
			}
		})
	}
	wg.Wait()

	for range 3 {
		c.kill(syscall.SIGTERM)
		before := up.reached.Load()
		stop := make(chan struct{})
		var answers, tried atomic.Int64
		for g := range goroutines {
			wg.Go(func() {
				// Each tries to be the first to connect.
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
				for i := g; ; i = (i + 997) % revocations {
					select {
					case <-stop:
						return
					default:
					}
					r, err := http.NewRequest(http.MethodGet, c.url+"/api", nil)
					if err != nil {
						t.Error(err)
						return
					}
					r.Header.Set("Authorization", "Bearer "+k.name(i))
					tried.Add(1)
					a, err := client.Do(r)
					if err != nil {
						continue // not there yet
					}
					_, _ = io.Copy(io.Discard, a.Body)
					_ = a.Body.Close()
					answers.Add(1)
					if a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("%s: %s", k.name(i), a.Status)
						return
					}
					if a.StatusCode == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "" {
						t.Error("503 without Retry-After")
					}
				}
			})
		}
		c.launch(siteWith())
		for enough := answers.Load() + 200; answers.Load() < enough && !t.Failed(); {
			if a := c.bearer(t, named("valid")); a.status != http.StatusOK {
				t.Errorf("valid: %d", a.status)
			}
			before++
		}
		close(stop)
		wg.Wait()
		if n := up.reached.Load(); n != before {
			t.Errorf("%d requests with revoked tokens reached the upstream", n-before)
		}
		if !strings.Contains(c.logs.String(), "denylist loaded") {
			t.Error("nothing was loaded")
		}
	}
}
