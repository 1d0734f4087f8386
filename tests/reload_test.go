package tests

import (
	"net/http"
	"strings"
	"testing"
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
