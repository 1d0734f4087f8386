package tests

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flipped is a token that is revoked and restored again and again, and what is
// known to hold: an odd turn is a change under way, of the others every second
// one is a revocation that was answered.
type flipped struct {
	token, body   string // body is what to revoke and restore
	turn, checked atomic.Int64
}

// change does what is next, and waits until requests have found it to be so.
func (f *flipped) change(a admin, stopped *atomic.Bool, wrong *complaints) {
	path := "revoke"
	if f.turn.Load()%4 == 2 {
		path = "restore"
	}
	f.turn.Add(1)
	for {
		got, err := a.ask(http.MethodPost, path, f.body)
		if err == nil && got.status == http.StatusOK {
			break
		}
		wrong.add("%s: %v %d %s", path, err, got.status, got.body)
		if stopped.Load() {
			return // and nothing is known
		}
	}
	enough := f.checked.Load() + 3
	f.turn.Add(1)
	for f.checked.Load() < enough && !stopped.Load() {
		time.Sleep(time.Millisecond)
	}
}

func (f *flipped) status() (status int, turn int64) {
	switch turn = f.turn.Load(); turn % 4 {
	case 0:
		return http.StatusOK, turn
	case 2:
		return http.StatusUnauthorized, turn
	}
	return 0, turn
}

// newFlipped are tokens with every kind of target, none of which touches another.
func newFlipped(n int) (list []*flipped) {
	for i := range n {
		name := fmt.Sprintf("flip%d-%d", i, time.Now().UnixNano())
		claims := fmt.Sprintf(`"jti":"%[1]s","sid":"%[1]s","sub":"%[1]s","client_id":"%[1]s"`, name)
		f := &flipped{token: jwt(fmt.Sprintf(`{"iss":%q,"iat":%d,%s}`, adminIssuer, time.Now().Unix(), claims))}
		switch kind := []string{"token", "opaque", "jti", "session", "subject", "client"}[i%6]; kind {
		case "opaque":
			f.token = name
			fallthrough
		case "token":
			f.body = aboutToken(f.token)
		default:
			f.body = aboutRule(kind, name)
		}
		list = append(list, f)
	}
	return list
}

// hammer flips tokens and asks with them at once, until it is stopped, which is not
// before it has done much.
func (a admin) hammer(t *testing.T, list []*flipped, wrong *complaints) (stop func()) {
	crowd := newCrowd(t, a.c, 16)
	crowd.persist()
	var stopped atomic.Bool
	var wg sync.WaitGroup
	var flips, checks atomic.Int64
	for _, f := range list {
		wg.Go(func() {
			for !stopped.Load() {
				f.change(a, &stopped, wrong)
				flips.Add(1)
			}
		})
	}
	for g := range 8 {
		wg.Go(func() {
			for i := g; !stopped.Load(); i++ {
				f := list[i%len(list)]
				want, turn := f.status()
				got, err := crowd.get(f.token, false)
				if err != nil {
					wrong.add("%v", err)
				}
				if want != 0 && f.turn.Load() == turn {
					checks.Add(1)
					f.checked.Add(1)
					if got != want {
						wrong.add("%d at the gate, want %d after what was answered about %s", got, want, f.body)
					}
				}
			}
		})
	}
	return func() {
		t.Helper()
		defer func() {
			stopped.Store(true)
			wg.Wait()
		}()
		waitFor(t, time.Minute, func() error {
			if flips.Load() < 200 || checks.Load() < 600 {
				return fmt.Errorf("%d flips, %d checks", flips.Load(), checks.Load())
			}
			return nil
		})
	}
}

// After the answer to a revocation no request passes, after that to a restoration
// none is refused, whatever else goes on.
func TestAdminFlips(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	var wrong complaints
	stop := newAdmin(t, c).hammer(t, newFlipped(12), &wrong)
	stop()
	wrong.report(t)
}

// Nor do reloads change that, or some that fail.
func TestAdminFlipsWhileReloading(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	var wrong complaints
	stop := newAdmin(t, c).hammer(t, newFlipped(6), &wrong)
	for i := range 8 {
		if err := c.reloadInTime(siteWith(fmt.Sprintf("realm r%d", i))); err != nil {
			t.Error(err)
		}
		if i%2 == 0 {
			if err := c.reloadInTime(siteWith("no_such_option")); err == nil {
				t.Error("a configuration that cannot work was loaded")
			}
			if err := c.reloadInTime(strings.Replace(siteWith(), "store bolt STORE", "store bolt /dev/null/nowhere", 1)); err == nil {
				t.Error("a configuration without its store was loaded")
			}
		}
	}
	stop()
	wrong.report(t)
}

// reloadInTime is reload again where the admin endpoint that was asked has been
// replaced at that moment, as each configuration brings one of its own.
func (c *caddy) reloadInTime(caddyfile string) (err error) {
	for range 10 {
		var broken *url.Error
		if err = c.reload(caddyfile); !errors.As(err, &broken) {
			return err
		}
	}
	return err
}
