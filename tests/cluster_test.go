package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

// clustered is a Caddyfile of a gateway in a cluster.
func clustered(url, more string) string {
	return strings.Replace(siteWith(), "token_revocation {", `token_revocation {
		cluster nats `+url+`
		max_staleness 3s
		`+more, 1)
}

// patient is such a Caddyfile for a test of something else than staleness: a machine that
// is busy, or stands still for a moment, makes no gateway of it stale.
func patient(config string) string {
	return strings.Replace(config, "max_staleness 3s", "max_staleness 1m", 1)
}

// gateways are Caddys that share one denylist, each before the same API.
func gateways(t *testing.T, n int, url, more string) (list []*caddy) {
	t.Helper()
	up := newUpstream(t)
	for range n {
		list = append(list, start(t, clustered(url, more), up))
	}
	for _, c := range list {
		c.levelled(t)
	}
	return list
}

// levelled waits until requests with tokens pass.
func (c *caddy) levelled(t *testing.T) {
	t.Helper()
	c.soon(t, "17|nobody", http.StatusOK)
}

// soon waits until a token is answered with a status.
func (c *caddy) soon(t *testing.T, token string, status int) {
	t.Helper()
	eventually(t, func() error {
		if got := c.bearer(t, token).status; got != status {
			return fmt.Errorf("a token is answered with %d, not %d", got, status)
		}
		return nil
	})
}

func (c *caddy) tryRevoke(t *testing.T, token string) int {
	t.Helper()
	return c.post(t, url.Values{"token": {token}}, "backend", "backend-secret").status
}

// What is revoked at one gateway is refused at all, and after whatever happens to
// the engine and to the gateways.
func TestCluster(t *testing.T) {
	n := startNATS(t)
	list := gateways(t, 3, n.url, "")
	all := t
	var revoked []string
	everywhere := func() {
		t.Helper()
		for _, token := range revoked {
			for _, c := range list {
				c.soon(t, token, http.StatusUnauthorized)
			}
		}
	}
	for i := range 6 {
		token := randomToken()
		list[i%3].revoke(t, token)
		revoked = append(revoked, token)
	}
	everywhere()

	t.Run("the engine is gone", func(t *testing.T) {
		n.kill(syscall.SIGKILL)
		token := randomToken()
		if status := list[0].tryRevoke(t, token); status != http.StatusServiceUnavailable {
			t.Errorf("a revocation that reached nobody was answered %d", status)
		}
		if status := list[0].bearer(t, token).status; status != http.StatusUnauthorized {
			t.Errorf("it is not enforced here: %d", status)
		}
		everywhere()
		for _, c := range list { // past max_staleness
			c.soon(t, "17|nobody", http.StatusServiceUnavailable)
		}
		everywhere()
		n.start()
		for _, c := range list {
			c.levelled(t)
		}
		revoked = append(revoked, token) // which was sent again
		everywhere()
	})
	t.Run("a gateway is gone", func(t *testing.T) {
		list[2].kill(syscall.SIGKILL)
		token := randomToken()
		list[0].revoke(t, token)
		revoked = append(revoked, token)
		list[2].launch(clustered(n.url, ""))
		list[2].levelled(t)
		everywhere()
	})
	t.Run("the engine has lost everything", func(t *testing.T) {
		n.kill(syscall.SIGKILL)
		if err := os.RemoveAll(n.data()); err != nil {
			t.Fatal(err)
		}
		n.start()
		for _, c := range list {
			c.levelled(t)
		}
		everywhere()
		list = append(list, start(all, clustered(n.url, ""), newUpstream(all)))
		list[3].levelled(t)
		everywhere()
	})
	t.Run("the engine stands still", func(t *testing.T) {
		n.signal(syscall.SIGSTOP)
		for _, c := range list {
			c.soon(t, "17|nobody", http.StatusServiceUnavailable)
		}
		n.signal(syscall.SIGCONT)
		for _, c := range list {
			c.levelled(t)
		}
		token := randomToken()
		list[1].revoke(t, token)
		revoked = append(revoked, token)
		everywhere()
	})
}
