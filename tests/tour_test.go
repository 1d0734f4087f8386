package tests

import (
	"net/http"
	"syscall"
	"testing"
)

// The main job: a revoked token is refused from the next request on, before the
// upstream sees it; other tokens pass; and a crash changes nothing.
func TestRevokedMeansRefused(t *testing.T) {
	up := newUpstream(t)
	c := start(t, siteWith(), up)
	expect := func(token string, status int, reached int64) {
		t.Helper()
		before := up.reached.Load()
		if a := c.bearer(t, token); a.status != status {
			t.Errorf("%s: %d %s, want %d", token, a.status, a.body, status)
		}
		if n := up.reached.Load() - before; n != reached {
			t.Errorf("%s: %d requests reached the upstream, want %d", token, n, reached)
		}
	}
	expect(named("alpha"), http.StatusOK, 1)
	c.revoke(t, named("alpha"))
	expect(named("alpha"), http.StatusUnauthorized, 0)
	expect(named("beta"), http.StatusOK, 1)

	c.kill(syscall.SIGKILL)
	c.launch(siteWith())
	expect(named("alpha"), http.StatusUnauthorized, 0)
	expect(named("beta"), http.StatusOK, 1)
}
