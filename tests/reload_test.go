package tests

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A reload under load keeps the denylist, refuses no valid token and passes no
// revoked one; so does one that fails.
func TestReloadUnderLoad(t *testing.T) {
	var wrong complaints
	up := newUpstream(t)
	up.handle = watchful(&wrong)
	c := start(t, siteWith(), up)
	const goroutines, reloads, revocations = 8, 30, 300
	crowd := newCrowd(t, c, 2*goroutines)
	crowd.persist()
	k := newNumbered("reload", revocations)
	variants := []string{
		strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tcache 1MiB\n\t\tleeway 5m", 1),
		strings.Replace(siteWith("realm other", "token cookie session"), "client backend", "client another {\n\t\t\tsecret x\n\t\t}\n\t\tclient backend", 1),
		siteWith(),
	}
	broken := []string{
		siteWith("no_such_option"),
		strings.Replace(siteWith(), "store bolt STORE", "store bolt /dev/null/nowhere", 1),
	}
	stop := crowd.keepBusy(k, goroutines/2, &wrong)
	for i := range reloads {
		for n := i * revocations / reloads; n < (i+1)*revocations/reloads; n++ {
			status, err := crowd.revoke(k.name(n))
			if err != nil || status != http.StatusOK {
				wrong.add("revoking: %d %v", status, err)
				continue
			}
			k.revoked[n].Store(true)
		}
		if err := c.reload(variants[i%len(variants)]); err != nil {
			t.Fatal(err)
		}
		if i%10 == 5 {
			if err := c.reload(broken[i/10%len(broken)]); err == nil {
				t.Error("a configuration that cannot work was loaded")
			}
		}
	}
	stop()
	wrong.report(t)
	refused(t, c, k)
}

// Another store is another denylist; the way back finds the first as it was.
func TestReloadToAnotherStore(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	other := strings.Replace(siteWith(), "STORE", "STORE.other", 1)
	c.revoke(t, named("first"))
	expect := func(token string, status int) {
		t.Helper()
		if a := c.bearer(t, token); a.status != status {
			t.Errorf("%s: %d, want %d", token, a.status, status)
		}
	}
	for range 3 {
		if err := c.reload(other); err != nil {
			t.Fatal(err)
		}
		expect(named("first"), http.StatusOK)
		c.revoke(t, named("second"))
		expect(named("second"), http.StatusUnauthorized)
		if err := c.reload(siteWith()); err != nil {
			t.Fatal(err)
		}
		expect(named("first"), http.StatusUnauthorized)
		expect(named("second"), http.StatusOK)
	}
}

// A configuration that fails after the app was started takes nothing from the one
// that goes on: not its leeway either.
func TestAReloadThatFailsLateKeepsTheLeeway(t *testing.T) {
	t.Parallel()
	with := func(leeway string) string {
		return strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tleeway "+leeway, 1)
	}
	c := start(t, with("1h"), newUpstream(t))
	a := newAdmin(t, c)
	a.change(t, "revoke", aboutToken(named("late"), `"expires":"in 1s"`))
	ended := time.Now().Add(2 * time.Second)
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	broken := with("0s") + fmt.Sprintf("http://localhost:%d {\n\trespond ok\n}\n", taken.Addr().(*net.TCPAddr).Port)
	for range 12 { // Caddy starts its apps in any order
		if err := c.reload(broken); err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Fatalf("a configuration whose port is taken: %v", err)
		}
	}
	time.Sleep(time.Until(ended))
	a.gate(t, named("late"), http.StatusUnauthorized)
}
