package tests

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startNATSWithUser is a server that only one user may enter.
func startNATSWithUser(t *testing.T, user, password string) *nats {
	t.Helper()
	n := startNATS(t)
	n.kill(syscall.SIGKILL)
	path := filepath.Join(n.dir, "nats.conf")
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config = fmt.Appendf(config, "authorization { user: %s, password: %s }\n", user, password)
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	return n
}

// natsSecret is a secret in a file.
func natsSecret(t *testing.T) (secret, placeholder string) {
	t.Helper()
	secret = confidential.add("nats" + rand.Text())
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret, "{file." + path + "}"
}

// Wherever the password of NATS stands, and whether it is right or wrong, it is
// nowhere in what a gateway says; but that it is wrong is.
func TestClusterNATSPassword(t *testing.T) {
	t.Parallel()
	password, right := natsSecret(t)
	_, wrong := natsSecret(t)
	n := startNATSWithUser(t, "gateway", password)
	up := newUpstream(t)
	inURL := func(password string) string { return strings.Replace(n.url, "//", "//gateway:"+password+"@", 1) }
	for name, c := range map[string]struct {
		cluster string
		right   bool
	}{
		"right":           {n.url + " {\n\t\t\tuser gateway " + right + "\n\t\t}", true},
		"wrong":           {n.url + " {\n\t\t\tuser gateway " + wrong + "\n\t\t}", false},
		"right in a URL":  {inURL(right), true},
		"wrong in a URL":  {inURL(wrong), false},
		"none":            {n.url, false},
		"TLS, not spoken": {strings.Replace(inURL(right), "nats://", "tls://", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, clustered(c.cluster, ""), up)
			if c.right {
				g.levelled(t)
				return
			}
			eventually(t, func() error {
				if said := strings.ToLower(g.logs.String()); !strings.Contains(said, "not connected to nats: nats: authorization violation") &&
					!strings.Contains(said, "not connected to nats: nats: secure connection not available") {
					return fmt.Errorf("the gateway does not say why: %s", tail(said, 2000))
				}
				return nil
			})
			g.soon(t, "17|somebody", http.StatusServiceUnavailable)
		})
	}
}

// Neither start nor end of a gateway waits for servers of NATS that say nothing, and
// a reload not longer than it waits for word from a cluster. It protects meanwhile:
// it denies what it cannot know.
func TestClusterNATSSilent(t *testing.T) {
	t.Parallel()
	servers := "nats://192.0.2.1"
	for range 8 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		servers += " nats://" + l.Addr().String()
	}
	config := func(more string) string {
		return clustered(servers+" {\n\t\t\t"+more+"\n\t\t}", "")
	}
	c := start(t, config(""), newUpstream(t))
	if got := c.bearer(t, "17|somebody").status; got != http.StatusServiceUnavailable {
		t.Errorf("a token is answered with %d", got)
	}
	const limit = 10 * time.Second // of a busy machine; eight servers of 2 seconds each would be more
	const forWord = 10 * time.Second
	for _, again := range []string{"stream OTHER"} {
		began := time.Now()
		if err := c.reload(config(again)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > forWord+limit {
			t.Errorf("a reload took %s", took)
		}
	}
	began := time.Now()
	c.kill(os.Interrupt)
	if took := time.Since(began); took > limit {
		t.Errorf("the end took %s", took)
	}
}
