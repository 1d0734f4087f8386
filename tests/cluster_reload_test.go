package tests

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A cluster that is added, changed, removed and added again under traffic: no valid
// token is refused, no revoked one passes, and all that was revoked with success,
// here or at the others, is refused at all of them once they share a cluster.
func TestClusterReload(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	var wrong complaints
	up := newUpstream(t)
	up.handle = watchful(&wrong)
	alone, one := siteWith(), patient(clustered(n.url, ""))
	two := strings.Replace(one, n.url, n.url+" {\n\t\t\tstream OTHER\n\t\t\tprefix other\n\t\t}", 1)
	c, inOne, inTwo := start(t, alone, up), start(t, one, up), start(t, two, up)
	for _, other := range []*caddy{inOne, inTwo} {
		other.levelled(t)
	}
	crowd := newCrowd(t, c, 16)
	crowd.persist()
	k := newNumbered("member", 200)
	next := 0
	revoke := func(count int) {
		t.Helper()
		for range count {
			if status, err := crowd.revoke(k.name(next)); err != nil || status != http.StatusOK {
				t.Fatalf("revoking: %d %v", status, err)
			}
			k.revoked[next].Store(true)
			next++
		}
	}
	revoke(10)
	stop := crowd.keepBusy(k, 2, &wrong)
	for i, config := range []string{one, two, one, alone, two, alone, one} {
		// What the others know by the time that the reload has ended, this one knows.
		foreign := []string{fmt.Sprint(named("one"), i), fmt.Sprint(named("two"), i)}
		inOne.revoke(t, foreign[0])
		inTwo.revoke(t, foreign[1])
		if err := c.reload(config); err != nil {
			t.Fatal(err)
		}
		switch config {
		case one:
			c.wants(t, http.StatusUnauthorized, foreign[0])
		case two:
			c.wants(t, http.StatusUnauthorized, foreign[1])
		}
		revoke(10)
	}
	stop()
	wrong.report(t)
	refused(t, c, k)
	for i := range next {
		inOne.soon(t, k.name(i), http.StatusUnauthorized)
	}
}

// Reloads that add and remove a cluster leave no goroutine and no connection behind.
func TestClusterReloadLeaksNothing(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	gateways(t, 1, n.url, "") // where there is another, word comes at once
	c := start(t, siteWith(), newUpstream(t))
	both := func(rounds int) {
		t.Helper()
		for range rounds {
			for _, config := range []string{clustered(n.url, ""), siteWith()} {
				if err := c.reload(config); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	both(2)
	goroutines, files := c.goroutines(t), c.files(t)
	both(8)
	eventually(t, func() error {
		if now := c.goroutines(t); now > goroutines+4 {
			return fmt.Errorf("%d goroutines, before the reloads %d", now, goroutines)
		}
		if now := c.files(t); now > files+2 {
			return fmt.Errorf("%d open files, before the reloads %d", now, files)
		}
		return nil
	})
}

// A gateway whose file is lost gets everything from the cluster, and until then lets
// pass nothing that was revoked.
func TestClusterFileLost(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	list := gateways(t, 2, n.url, "")
	revoked := named("revoked")
	list[0].revoke(t, revoked)
	list[0].kill(syscall.SIGKILL)
	if err := os.Remove(list[0].names.Replace("STORE")); err != nil {
		t.Fatal(err)
	}
	list[0].launch(clustered(n.url, ""))
	list[0].neverPasses(t, revoked)
}

// neverPasses asks with a revoked token until it is refused as such, and expects
// that it never passes; then it waits until others do.
func (c *caddy) neverPasses(t *testing.T, revoked string) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		switch a := c.bearer(t, revoked); a.status {
		case http.StatusUnauthorized:
			c.levelled(t)
			return
		case http.StatusServiceUnavailable:
		default:
			t.Fatalf("a revoked token is answered with %d", a.status)
		}
	}
	t.Fatal("the gateway does not hear of its cluster")
}

func memoryConfig(url string) string {
	return strings.Replace(patient(clustered(url, "")), "store bolt STORE", "store memory", 1)
}

// A gateway without a disk keeps nothing on one, promises nothing without its cluster,
// keeps what it knows through a reload, and gets it back after a crash.
func TestClusterMemory(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	up := newUpstream(t)
	config := memoryConfig(n.url)
	list := []*caddy{start(t, config, up), start(t, config, up)}
	for _, c := range list {
		c.levelled(t)
	}
	revoked, late := named("revoked"), named("late")
	list[0].revoke(t, revoked)
	list[1].soon(t, revoked, http.StatusUnauthorized)
	list[0].cli(t, cliDone, "", "stats").says(t, "store", "memory, reachable", "cluster", "level", "records: token", "1")

	list[0].kill(syscall.SIGKILL)
	list[0].launch(config)
	list[0].neverPasses(t, revoked)
	if err := list[0].reload(strings.Replace(config, "rate_limit", "realm other\n\t\trate_limit", 1)); err != nil {
		t.Fatal(err)
	}
	list[0].wants(t, http.StatusUnauthorized, revoked)
	list[0].wants(t, http.StatusOK, named("alive"))
	if err := list[0].reload(strings.Replace(siteWith(), "store bolt STORE", "store memory", 1)); err == nil {
		t.Error("a store in memory without a cluster was taken")
	}
	if err := list[0].reload(strings.Replace(config, "cluster nats "+n.url, "cluster nats "+n.url+" {\n\t\t\tgrace 2h\n\t\t}", 1)); err != nil {
		t.Fatal(err)
	}
	list[0].wants(t, http.StatusUnauthorized, revoked)

	n.kill(syscall.SIGKILL)
	if status := list[0].tryRevoke(t, late); status != http.StatusServiceUnavailable {
		t.Errorf("a revocation that is durable nowhere was answered %d", status)
	}
	list[0].wants(t, http.StatusUnauthorized, late, revoked)
	n.start()
	list[1].soon(t, late, http.StatusUnauthorized)

	for _, c := range list { // the engine is all that remembers
		c.kill(syscall.SIGKILL)
	}
	n.kill(syscall.SIGKILL)
	for _, c := range list {
		c.launch(config)
		c.wants(t, http.StatusServiceUnavailable, revoked, named("alive"))
	}
	n.start()
	for _, c := range list {
		c.neverPasses(t, revoked)
		c.wants(t, http.StatusUnauthorized, late)
		if made := denylists(t, c.dir); len(made) > 0 {
			t.Errorf("on disk are %v", made)
		}
	}
}
