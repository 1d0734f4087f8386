package tests

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A full disk: 503, nothing falsely acknowledged, the rest of the service as
// ever, and recovery once there is room. Caddy runs with a small file system of
// its own for its store, which is seen from here through its root.
func TestFullDisk(t *testing.T) {
	c := newCaddy(t, t.TempDir(), newUpstream(t))
	mount := filepath.Join(c.dir, "store")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	c.wrapper = []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"`, mount}
	if os.Geteuid() != 0 {
		c.wrapper = append([]string{"unshare", "--map-root-user"}, c.wrapper[1:]...)
	}
	if err := c.tryLaunch(siteWith()); err != nil {
		t.Fatalf("this test needs root, or a kernel that lets users make name spaces, to mount a small file system: %v\n%s", err, c.logs)
	}
	inside := filepath.Join(fmt.Sprintf("/proc/%d/root", c.cmd.Process.Pid), mount)

	var acknowledged []string
	try := func(token string) answer {
		a := c.post(t, url.Values{"token": {token}}, "backend", "backend-secret")
		switch a.status {
		case http.StatusOK:
			acknowledged = append(acknowledged, token)
		case http.StatusServiceUnavailable:
			if a.header.Get("Retry-After") == "" {
				t.Errorf("503 without Retry-After")
			}
		default:
			t.Fatalf("revoking: %d %s", a.status, a.body)
		}
		return a
	}
	check := func() {
		t.Helper()
		for _, token := range acknowledged {
			if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
				t.Errorf("%s was acknowledged: %d", token, a.status)
			}
		}
		if a := c.bearer(t, named("valid")); a.status != http.StatusOK {
			t.Errorf("a valid token: %d", a.status)
		}
	}

	for i := range 5 {
		try(named(fmt.Sprint("before|", i)))
	}
	filler := filepath.Join(inside, "filler")
	fill(t, filler)
	turnedAway := 0
	for i := 0; turnedAway < 100; i++ { // the file has some room in itself
		if i == 20_000 {
			t.Fatal("the disk was full, and every revocation succeeded")
		}
		if try(named(fmt.Sprint("full|", i))).status != http.StatusOK {
			turnedAway++
		}
	}
	check()

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if a := try(named("after")); a.status != http.StatusOK {
		t.Errorf("there is room again: %d %s", a.status, a.body)
	}
	check()

	// What a crash would leave behind.
	left, err := os.ReadFile(filepath.Join(inside, "denylist.db"))
	if err != nil {
		t.Fatal(err)
	}
	c.kill(syscall.SIGKILL)
	c.wrapper = nil
	if err := os.WriteFile(filepath.Join(mount, "denylist.db"), left, 0o600); err != nil {
		t.Fatal(err)
	}
	c.launch(siteWith())
	check()
}

// fill writes a file until there is no room left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{64 << 10, 1} {
		for err == nil {
			_, err = io.CopyN(f, zeros{}, size)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	_ = f.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The file is taken away beneath the process: what would be written is gone
// after a restart, and so is not acknowledged; what was revoked stays refused.
func TestStoreTakenAway(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	c.revoke(t, named("before"))
	store := c.names.Replace("STORE")
	if out, err := exec.Command("mv", store, store+".away").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if a := c.post(t, url.Values{"token": {named("after")}}, "backend", "backend-secret"); a.status != http.StatusServiceUnavailable {
		t.Errorf("revoking without the file: %d %s", a.status, a.body)
	}
	for token, status := range map[string]int{named("before"): http.StatusUnauthorized, named("after"): http.StatusOK} {
		if a := c.bearer(t, token); a.status != status {
			t.Errorf("%s: %d, want %d", token, a.status, status)
		}
	}
	if err := os.Rename(store+".away", store); err != nil {
		t.Fatal(err)
	}
	c.revoke(t, named("after"))
	if a := c.bearer(t, named("after")); a.status != http.StatusUnauthorized {
		t.Errorf("after: %d", a.status)
	}
}

// Ten times more records than the cache holds: all are refused, again and again.
func TestMoreThanTheCacheHolds(t *testing.T) {
	t.Parallel()
	config := strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tcache 64KiB", 1) // 256 records
	c := start(t, config, newUpstream(t))
	crowd := newCrowd(t, c, 16)
	k := newNumbered("evicted", 2560)
	var wrong complaints
	each := func(f func(i int)) {
		limit := make(chan struct{}, 16)
		for i := range k.revoked {
			limit <- struct{}{}
			go func() {
				f(i)
				<-limit
			}()
		}
		for range cap(limit) {
			limit <- struct{}{}
		}
	}
	each(func(i int) {
		if status, err := crowd.revoke(k.name(i)); err != nil || status != http.StatusOK {
			wrong.add("revoking: %d %v", status, err)
			return
		}
		k.revoked[i].Store(true)
	})
	for range 2 {
		each(func(i int) {
			if status, err := crowd.get(k.name(i), true); err != nil || status != http.StatusUnauthorized {
				wrong.add("%s: %d %v", k.name(i), status, err)
			}
		})
	}
	wrong.report(t)
}
