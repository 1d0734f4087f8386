package tests

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// After a hundred reloads, half of them to another store, there are as many
// goroutines and file handles as before.
func TestReloadsLeakNothing(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	other := strings.Replace(siteWith(), "STORE", "STORE.other", 1)
	crowd := newCrowd(t, c, 1)
	reload := func(config string) {
		t.Helper()
		if err := c.reload(config); err != nil {
			t.Fatal(err)
		}
		crowd.client.CloseIdleConnections() // of the configuration before
	}
	ask := func() {
		t.Helper()
		if status, err := crowd.revoke(named("some")); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		if status, err := crowd.get(named("some"), true); err != nil || status != http.StatusUnauthorized {
			t.Fatal(status, err)
		}
	}
	for range 3 { // until whatever is made once is made
		reload(other)
		reload(siteWith())
		ask()
	}
	goroutines, files := c.goroutines(t), c.files(t)
	for i := range 100 {
		if i%2 == 0 {
			reload(other)
		} else {
			reload(siteWith())
		}
		ask()
	}
	eventually(t, func() error {
		if n := c.goroutines(t); n > goroutines+4 {
			return fmt.Errorf("%d goroutines, before the reloads %d", n, goroutines)
		}
		if n := c.files(t); n > files+4 {
			return fmt.Errorf("%d open files, before the reloads %d", n, files)
		}
		return nil
	})
}

func (c *caddy) goroutines(t *testing.T) (n int) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+c.admin+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(do(t, request).body, "goroutine profile: total %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (c *caddy) files(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// eventually tries until a check succeeds, for several times as long as it takes on a
// machine that is busy.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	waitFor(t, 40*time.Second, check)
}

func waitFor(t *testing.T, bound time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(bound)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(5 * time.Millisecond)
	}
}
