package tests

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// policyGateway is a gateway with a site as the global block says, one that lets
// pass and one that denies, both of which require tokens, and one for load balancers.
type policyGateway struct {
	*caddy
	config              string
	lax, strict, health string // addresses
}

func policyCaddyfile(t *testing.T, url, global string) (p policyGateway) {
	p.config = strings.Replace(siteWith(), "token_revocation {", "token_revocation {\n\t\tcluster nats "+url+"\n\t\tmax_staleness 2s\n\t\t"+global, 1)
	for _, site := range []struct {
		address *string
		lines   string
	}{
		{&p.lax, "token_revocation {\n\t\twhen_unavailable allow\n\t\trequire_token\n\t}\n\treverse_proxy UPSTREAM"},
		{&p.strict, "token_revocation {\n\t\twhen_unavailable deny\n\t\trequire_token\n\t}\n\treverse_proxy UPSTREAM"},
		{&p.health, "token_revocation_ready"},
	} {
		*site.address = "http://localhost:" + freePort(t)
		p.config += *site.address + " {\n\t" + site.lines + "\n}\n"
	}
	return p
}

func startPolicy(t *testing.T, up *upstream, url, global string) policyGateway {
	t.Helper()
	p := policyCaddyfile(t, url, global)
	p.caddy = start(t, p.config, up)
	return p
}

// policyWants expects an answer to a request with some header fields.
func policyWants(t *testing.T, address string, status int, header http.Header) {
	t.Helper()
	request := healthRequest(t, address+"/api")
	request.Header = header
	a := do(t, request)
	if a.status != status || status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
		t.Errorf("%s with %d header fields: %d %v, want %d", address, len(header), a.status, a.header, status)
	}
}

// healthSoon waits for what load balancers are told.
func (p policyGateway) healthSoon(t *testing.T, want string) {
	t.Helper()
	eventually(t, func() error {
		h, _, err := healthGet(p.health)
		if got := fmt.Sprint(h); err == nil && got != want {
			err = fmt.Errorf("the node says %s, not %s", got, want)
		}
		return err
	})
}

func bearing(token string) http.Header { return fields("Authorization", "Bearer "+token) }

// Without word from the cluster for too long, a site does what it says, or else what
// the global block says. What is known to be revoked is refused in any case, and what
// is refused for other reasons is; a request that carries nothing has nothing that
// could be revoked. A revocation is enforced here, promised to nobody, and sent later.
func TestClusterPolicy(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	up := newUpstream(t)
	denying, allowing := startPolicy(t, up, n.url, ""), startPolicy(t, up, n.url, "when_unavailable allow")
	both := []policyGateway{denying, allowing}
	for _, p := range both {
		p.healthSoon(t, healthReady)
		p.levelled(t)
	}
	revoked, alive, late := named("revoked"), named("alive"), named("late")
	denying.revoke(t, revoked)
	allowing.soon(t, revoked, http.StatusUnauthorized)

	// With or without the engine, and whoever is asked.
	always := func(t *testing.T) {
		t.Helper()
		for _, p := range both {
			for _, address := range []string{p.url, p.lax, p.strict} {
				policyWants(t, address, http.StatusUnauthorized, bearing(revoked))
				policyWants(t, address, http.StatusBadRequest, http.Header{"Authorization": {"Bearer a", "Bearer b"}})
			}
			policyWants(t, p.url, http.StatusOK, http.Header{})
			policyWants(t, p.lax, http.StatusUnauthorized, http.Header{})
			policyWants(t, p.strict, http.StatusUnauthorized, http.Header{})
		}
	}
	stale := func(t *testing.T) {
		t.Helper()
		always(t)
		for _, header := range []http.Header{bearing(alive), fields("Authorization", "Unknown "+alive)} {
			policyWants(t, denying.url, http.StatusServiceUnavailable, header)
			policyWants(t, allowing.url, http.StatusOK, header)
		}
		for _, p := range both {
			policyWants(t, p.lax, http.StatusOK, bearing(alive))
			policyWants(t, p.strict, http.StatusServiceUnavailable, bearing(alive))
		}
	}
	always(t)
	n.kill(syscall.SIGKILL)
	denying.healthSoon(t, "{false [stale] []}")
	allowing.healthSoon(t, "{true [] [stale]}")
	stale(t)

	t.Run("revocations", func(t *testing.T) {
		a := denying.post(t, url.Values{"token": {late}}, "backend", "backend-secret")
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %v", a.status, a.header)
		}
		policyWants(t, denying.lax, http.StatusUnauthorized, bearing(late))
		policyWants(t, allowing.lax, http.StatusOK, bearing(late))
		denying.cli(t, cliFailed, "", "restore", "--id", "token:"+auditDigest(revoked)).says(t, "the cluster was not reached")
		policyWants(t, denying.lax, http.StatusUnauthorized, bearing(revoked))
	})
	t.Run("the command", func(t *testing.T) {
		denying.cli(t, cliDone, "", "stats").says(t, "ready", "no: stale", "cluster", "stale: ", "last word", " ago, and may be 2s", "1 no_cursor", "owed", "1\n")
	})
	t.Run("reload", func(t *testing.T) {
		for _, line := range []string{"realm other", "token query t"} {
			if err := denying.reload(strings.Replace(denying.config, "rate_limit", line+"\n\t\trate_limit", 1)); err != nil {
				t.Fatal(err)
			}
			stale(t)
		}
	})
	t.Run("restart", func(t *testing.T) { // a cluster that is not there at the start
		for _, p := range both {
			p.kill(syscall.SIGKILL)
			p.launch(p.config)
		}
		denying.healthSoon(t, "{false [stale] []}")
		allowing.healthSoon(t, "{true [] [stale]}")
		stale(t)
		policyWants(t, denying.lax, http.StatusUnauthorized, bearing(late))
		denying.cli(t, cliDone, "", "stats").says(t, "cluster", "stale", "last word", "none yet")
	})
	t.Run("back", func(t *testing.T) {
		n.start() // to which is sent what did not reach it, by a process that has ended
		for _, p := range both {
			p.healthSoon(t, healthReady)
			p.levelled(t)
			p.soon(t, late, http.StatusUnauthorized)
		}
		always(t)
	})
	for _, p := range both { // and it is said, but not every few seconds
		for line, most := range map[string]int{`"not level with the cluster"`: 12, `"level with the cluster"`: 6} {
			said := 0
			for text := range strings.Lines(p.logs.String()) {
				if strings.Contains(text, `"msg":`+line) && !strings.Contains(text, `"level":"debug"`) {
					said++
				}
			}
			if said == 0 || said > most {
				t.Errorf("%s was said %d times", line, said)
			}
		}
	}
}

// Nothing is connected to while a configuration is only looked at, beside a gateway
// that runs.
func TestClusterValidate(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = conn.Close()
		}
	}()
	config := clustered("nats://"+listener.Addr().String(), "")
	c := start(t, siteWith(), newUpstream(t))
	for _, store := range []string{"bolt STORE", "memory"} {
		config := strings.Replace(config, "bolt STORE", store, 1)
		for _, command := range []string{"validate", "adapt"} {
			if out, err := c.command(command, "--config", c.config(config), "--adapter", "caddyfile").CombinedOutput(); err != nil {
				t.Errorf("%s: %v %s", command, err, out)
			}
		}
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("there were %d connections", n)
	}
	c.wants(t, http.StatusOK, named("alive"))
	if err := c.reload(config); err != nil { // it runs, and tries
		t.Fatal(err)
	}
	if connections.Load() == 0 {
		t.Error("nobody would have been counted")
	}
	c.wants(t, http.StatusServiceUnavailable, named("alive"))
}

// A password that is wrong is said to be, in the log and by the command, and stands
// nowhere; it can be mended on either side.
func TestClusterPassword(t *testing.T) {
	t.Parallel()
	right, wrong := named("right-password"), named("wrong-password")
	n := startNATS(t)
	n.kill(syscall.SIGKILL)
	conf := filepath.Join(n.dir, "nats.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	write(t, conf, string(text)+"authorization { user: gateway, password: \""+right+"\" }\n")
	n.start()
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, wrong)
	config := clustered(n.url+" {\n\t\t\tuser gateway {file."+file+"}\n\t\t}", "")
	c := start(t, config, newUpstream(t))
	c.wants(t, http.StatusServiceUnavailable, named("alive"))
	eventually(t, func() error {
		if out := c.cli(t, cliDone, "", "stats").out; !strings.Contains(out, "Authorization Violation") {
			return fmt.Errorf("the command says %s", out)
		}
		return nil
	})
	write(t, file, right)
	if err := c.reload(config); err != nil {
		t.Fatal(err)
	}
	c.soon(t, named("alive"), http.StatusOK)
}
