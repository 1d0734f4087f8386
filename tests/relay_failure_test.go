package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A server that hangs holds no more than its share of requests, none of them
// longer than the timeout, and nothing afterwards. The gate does not notice.
func TestRelayToAServerThatHangs(t *testing.T) {
	t.Parallel()
	const crowd, places, timeout = 200, 128, 8 * time.Second
	server := newRelayServer(t, false)
	c := start(t, impatient(server.relaying("", ""), timeout.String()), newUpstream(t))
	form := url.Values{"token": {strings.Repeat("x", 60<<10)}}
	ask := func() int { return c.post(t, form, "backend", "backend-secret").status }
	ask()
	http.DefaultClient.CloseIdleConnections()
	goroutines, memory := c.goroutines(t), c.memory(t)
	server.answers(hang)
	server.asked.Store(0)
	began := time.Now()
	var wg sync.WaitGroup
	for range crowd {
		wg.Go(func() {
			if status := ask(); status != http.StatusServiceUnavailable {
				t.Errorf("status %d", status)
			}
		})
	}
	eventually(t, func() error {
		if n := server.asked.Load(); n < places {
			return fmt.Errorf("%d requests have reached the server", n)
		}
		return nil
	})
	for range 20 {
		if a := c.bearer(t, newToken()); a.status != http.StatusOK {
			t.Errorf("at the gate meanwhile: %d", a.status)
		}
	}
	if n := c.goroutines(t); n > goroutines+2*crowd+3*places {
		t.Errorf("%d goroutines, before %d", n, goroutines)
	}
	wg.Wait()
	// Who comes when the first have had their time may take their places.
	took := time.Since(began)
	if n := server.asked.Load(); took > 5*timeout || n > places*int64(took/timeout) {
		t.Errorf("after %s: %d requests have reached the server", took, n)
	}
	http.DefaultClient.CloseIdleConnections()
	eventually(t, func() error {
		if n := c.goroutines(t); n > goroutines+8 {
			return fmt.Errorf("%d goroutines, before %d", n, goroutines)
		}
		return nil
	})
	limit := 200 << 20
	if raceFlag == "-race=true" { // which takes several times as much
		limit *= 4
	}
	if grown := c.memory(t) - memory; grown > limit {
		t.Errorf("the process has grown by %d bytes", grown)
	}
	server.answers(nil)
	if status := ask(); status != http.StatusOK {
		t.Errorf("when the server is back: %d", status)
	}
}

// No connection to the server outlives the configuration that opened it.
func TestRelayReloads(t *testing.T) {
	server := newRelayServer(t, false)
	config := server.relaying("", "")
	c := start(t, config, newUpstream(t))
	crowd := newCrowd(t, c, 1)
	// A connection that stays may go on to be answered by the configuration before.
	crowd.client.Transport.(*http.Transport).DisableKeepAlives = true
	crowd.persist()
	ask := func() {
		t.Helper()
		if status, err := crowd.revoke("t"); err != nil || status != http.StatusOK {
			t.Fatalf("%d %v", status, err)
		}
	}
	ask()
	goroutines := c.goroutines(t)
	for range 20 {
		if err := c.reload(config); err != nil {
			t.Fatal(err)
		}
		ask()
	}
	if n := server.opened.Load(); n != 21 {
		t.Errorf("%d connections for 21 configurations", n)
	}
	eventually(t, func() error {
		if n := c.goroutines(t); n > goroutines+8 {
			return fmt.Errorf("%d goroutines, before %d", n, goroutines)
		}
		return nil
	})
}

// memory is what the process has in memory, in bytes, or 0 where that is not told.
func (c *caddy) memory(t *testing.T) (bytes int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var size, resident int
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// When the denylist fails after the server said yes, the client is told so, and
// a retry makes it good. Here the denylist is closed by a reload.
func TestRelayAndStoreFails(t *testing.T) {
	server := newRelayServer(t, false)
	config := server.relaying("", "")
	c := start(t, config, newUpstream(t))
	token := newToken()
	server.answers(func(w http.ResponseWriter, r *http.Request) {
		if err := c.reload(strings.Replace(config, "STORE", "STORE.other", 1)); err != nil {
			t.Error(err)
		}
	})
	form := url.Values{"token": {token}, "client_id": {"theirs"}}
	before := c.post(t, form, "", "")
	if before.status != http.StatusServiceUnavailable || before.header.Get("Retry-After") == "" {
		t.Fatalf("%d %s", before.status, before.body)
	}
	if a := c.bearer(t, token); a.status != http.StatusOK {
		t.Errorf("the token at the gate: %d", a.status)
	}
	server.answers(nil)
	if a := c.post(t, form, "", ""); a.status != http.StatusOK {
		t.Fatalf("the second time: %d %s", a.status, a.body)
	}
	if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
		t.Errorf("the token at the gate: %d", a.status)
	}
}
