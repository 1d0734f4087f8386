package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// healthSite is a site whose load balancer asks at /ready, and another that only
// answers load balancers, at HEALTH.
func healthSite(lines ...string) string {
	site := strings.Replace(siteWith(lines...), "http://localhost:PORT {\n", "http://localhost:PORT {\n\ttoken_revocation_ready /ready\n", 1)
	return site + "http://localhost:HEALTH {\n\ttoken_revocation_ready\n}\n"
}

func newHealthCaddy(t *testing.T) (c *caddy, elsewhere string) {
	c = newCaddy(t, t.TempDir(), newUpstream(t))
	port, names := freePort(t), c.names
	c.names = strings.NewReplacer("HEALTH", port, "PORT", names.Replace("PORT"), "ADMIN", names.Replace("ADMIN"),
		"UPSTREAM", names.Replace("UPSTREAM"), "STORE", names.Replace("STORE"))
	return c, "http://localhost:" + port
}

// healthAnswer is what a load balancer is told.
type healthAnswer struct {
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons"`
	Degraded []string `json:"degraded"`
}

func healthOf(a answer) (h healthAnswer, err error) {
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil {
		return h, fmt.Errorf("%w: %q", err, a.body)
	}
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	switch {
	case a.status != status, h.Ready != (len(h.Reasons) == 0), h.Reasons == nil, h.Degraded == nil:
		return h, fmt.Errorf("%d %s", a.status, a.body)
	case a.header.Get("Cache-Control") != "no-store", a.header.Get("Content-Type") != "application/json",
		(a.header.Get("Retry-After") != "") == h.Ready:
		return h, fmt.Errorf("%d %s with %v", a.status, a.body, a.header)
	}
	return h, nil
}

// healthGet asks over a connection of its own, if there is any.
func healthGet(address string) (h healthAnswer, took time.Duration, err error) {
	began := time.Now()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	response, err := client.Get(address)
	if err != nil {
		return h, 0, err
	}
	a, err := readAll(response)
	if err != nil {
		return h, 0, err
	}
	h, err = healthOf(a)
	return h, time.Since(began), err
}

// healthWants expects an answer.
func healthWants(t *testing.T, address, want string) {
	t.Helper()
	h, _, err := healthGet(address)
	if err != nil {
		t.Error(err)
	} else if got := fmt.Sprint(h); got != want {
		t.Errorf("%s: %s, want %s", address, got, want)
	}
}

const healthReady = "{true [] []}"

// A load balancer needs no token, whatever else the site asks for and wherever
// it sends others; and it cannot be turned away.
func TestHealthNeedsNoToken(t *testing.T) {
	c, elsewhere := newHealthCaddy(t)
	site := healthSite("require_token")
	c.launch(strings.Replace(site, "\treverse_proxy", "\trewrite /ready /elsewhere\n\tredir /ready /login\n\treverse_proxy", 1))
	c.revoke(t, "revoked")
	for _, address := range []string{c.url + "/ready", elsewhere, elsewhere + "/any/path?x=y"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions} {
			for _, token := range []string{"", "revoked", "valid", "two, of them"} {
				request, err := http.NewRequest(method, address, nil)
				if err != nil {
					t.Fatal(err)
				}
				if token != "" {
					request.Header.Set("Authorization", "Bearer "+token)
				}
				a := do(t, request)
				switch method {
				case http.MethodGet:
					if h, err := healthOf(a); err != nil || fmt.Sprint(h) != healthReady {
						t.Errorf("%s: %v %v", address, h, err)
					}
				case http.MethodHead:
					if a.status != http.StatusOK || a.body != "" || a.header.Get("Cache-Control") != "no-store" {
						t.Errorf("HEAD %s: %v", address, a)
					}
				default:
					if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
						t.Errorf("%s %s: %v", method, address, a)
					}
				}
			}
		}
	}
	c.wants(t, http.StatusUnauthorized, "revoked")
	if a := do(t, healthRequest(t, c.url+"/ready/not")); a.status != http.StatusUnauthorized {
		t.Errorf("beside it: %d", a.status)
	}
}

func healthRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// While nothing can be written the node is ready, since it refuses what is revoked,
// and says what does not work.
func TestHealthWhileWritesFail(t *testing.T) {
	c, _ := newHealthCaddy(t)
	c.launch(healthSite())
	c.revoke(t, "before")
	healthWants(t, c.url+"/ready", healthReady)
	store := c.names.Replace("STORE")
	for range 2 {
		if err := os.Rename(store, store+".away"); err != nil {
			t.Fatal(err)
		}
		if a := c.post(t, url.Values{"token": {"after"}}, "backend", "backend-secret"); a.status != http.StatusServiceUnavailable {
			t.Fatalf("revoking without the file: %d %s", a.status, a.body)
		}
		healthWants(t, c.url+"/ready", "{true [] [writes_failing]}")
		c.wants(t, http.StatusUnauthorized, "before")
		c.wants(t, http.StatusOK, "other")
		if err := os.Rename(store+".away", store); err != nil {
			t.Fatal(err)
		}
		c.revoke(t, "after")
		healthWants(t, c.url+"/ready", healthReady)
	}
}

// A store that cannot be read is noticed without a request that would need it.
func TestHealthWithoutStore(t *testing.T) {
	c, elsewhere := newHealthCaddy(t)
	c.launch(healthSite())
	c.revoke(t, "before")
	healthWants(t, elsewhere, healthReady)
	if err := os.Truncate(c.names.Replace("STORE"), 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		h, _, err := healthGet(elsewhere)
		if err == nil && fmt.Sprint(h) != "{false [store_unreachable] []}" {
			err = fmt.Errorf("%v", h)
		}
		return err
	})
	if a := c.bearer(t, "before"); a.status != http.StatusServiceUnavailable && a.status != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", a.status)
	}
	c.wants(t, http.StatusOK, "other")
}

// Before the denylist is loaded the answer is 503, at once, and after that 200.
// Caddy starts its apps in random order: it is tried until the site was first.
func TestHealthWhileStarting(t *testing.T) {
	c, elsewhere := newHealthCaddy(t)
	c.launch(healthSite())
	store := c.names.Replace("STORE")
	for attempt := range 40 {
		c.kill(syscall.SIGTERM)
		file, err := os.OpenFile(store, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		loading := false
		watched := make(chan struct{})
		c.logs.begin()
		go func() { // as long as the file is locked, and not for longer than Caddy waits for it
			defer close(watched)
			defer func() { _ = file.Close() }()
			deadline, begun := time.Now().Add(time.Minute), false
			for ; time.Now().Before(deadline) && !loading; <-time.After(5 * time.Millisecond) {
				if !begun && c.logs.say("admin endpoint started") { // what follows are the apps
					deadline, begun = time.Now().Add(2*time.Second), true
				}
				h, took, err := healthGet(elsewhere)
				if err != nil {
					continue // not there yet
				}
				if loading = true; fmt.Sprint(h) != "{false [loading] []}" || took > 4*time.Second {
					t.Errorf("attempt %d: %v after %s", attempt, h, took)
				}
			}
		}()
		c.launch(healthSite())
		<-watched
		healthWants(t, elsewhere, healthReady)
		if loading {
			return
		}
	}
	t.Error("the denylist was loaded before the site was there, each time")
}

// A load balancer that asks all the time sends nobody away because of a reload,
// be it to another store and back, or one that fails.
func TestHealthThroughReloads(t *testing.T) {
	c, _ := newHealthCaddy(t)
	c.launch(healthSite())
	var stop atomic.Bool
	var asked atomic.Int64
	var wrong complaints
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				h, _, err := healthGet(c.url + "/ready")
				if _, network := err.(*url.Error); network {
					continue // the connection was not accepted
				}
				asked.Add(1)
				if err != nil || !h.Ready || slices.ContainsFunc(h.Degraded, func(s string) bool { return s != "reloading" }) {
					wrong.add("%v %v", h, err)
				}
			}
		})
	}
	configs := []string{
		strings.Replace(healthSite(), "STORE", "STORE.other", 1), healthSite(), healthSite("realm other"),
		strings.Replace(healthSite(), "STORE", "/dev/null/nowhere", 1),
	}
	for i := range 20 {
		err := c.reload(configs[i%len(configs)])
		if failing := i%len(configs) == 3; (err != nil) != failing {
			t.Errorf("reload %d: %v", i, err)
		}
	}
	stop.Store(true)
	wg.Wait()
	wrong.report(t)
	healthWants(t, c.url+"/ready", healthReady)
	if n := asked.Load(); n < 20 {
		t.Errorf("asked %d times", n)
	}
}

// While Caddy waits before it ends, so that load balancers can turn elsewhere,
// they are told to; requests are still served.
func TestHealthBeforeTheEnd(t *testing.T) {
	t.Parallel()
	c, elsewhere := newHealthCaddy(t)
	c.launch(strings.Replace(healthSite(), "\tauto_https off\n", "\tauto_https off\n\tshutdown_delay 10s\n", 1))
	c.revoke(t, "revoked")
	for _, address := range []string{elsewhere, c.url + "/ready"} {
		healthWants(t, address, healthReady)
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		h, _, err := healthGet(elsewhere)
		if err == nil && fmt.Sprint(h) != "{false [shutting_down] []}" {
			err = fmt.Errorf("%v", h)
		}
		return err
	})
	c.wants(t, http.StatusUnauthorized, "revoked")
	c.wants(t, http.StatusOK, "valid")
	c.kill(syscall.SIGTERM)
}
