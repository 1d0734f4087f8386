package tests

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A configuration whose store is in use by somebody else is not loaded, and
// while Caddy finds that out the running one goes on as if nothing were.
func TestReloadToLockedStore(t *testing.T) {
	t.Parallel()
	var wrong complaints
	up := newUpstream(t)
	up.handle = watchful(&wrong)
	c := start(t, siteWith(), up)
	locked := filepath.Join(t.TempDir(), "locked.db")
	file, err := os.OpenFile(locked, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}

	crowd := newCrowd(t, c, 8)
	// Each request has a connection of its own, which may go to either configuration.
	crowd.client.Transport.(*http.Transport).DisableKeepAlives = true
	crowd.persist()
	k := newNumbered("locked", 20)
	for i := range k.revoked {
		if status, err := crowd.revoke(k.name(i)); err != nil || status != http.StatusOK {
			t.Fatalf("%d %v", status, err)
		}
		k.revoked[i].Store(true)
	}
	stop := crowd.keepBusy(k, 4, &wrong)
	// Caddy starts its apps in random order: in every other attempt the new
	// configuration serves before it fails.
	for range 2 {
		err := c.reload(strings.Replace(siteWith(), "STORE", locked, 1))
		if err == nil || !strings.Contains(err.Error(), locked) || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("reload: %v", err)
		}
	}
	stop()
	wrong.report(t)
	refused(t, c, k)
}

// Back and forth between two stores, under load: a token that is revoked in both
// never passes, and one that is revoked in neither always does.
func TestReloadBetweenStoresUnderLoad(t *testing.T) {
	var wrong complaints
	up := newUpstream(t)
	up.handle = watchful(&wrong)
	c := start(t, siteWith(), up)
	configs := []string{strings.Replace(siteWith(), "STORE", "STORE.other", 1), siteWith()}
	crowd := newCrowd(t, c, 16)
	crowd.persist()
	k := newNumbered("both", 50)
	// On a connection that stays, the configuration before could still answer.
	first := newCrowd(t, c, 1)
	first.client.Transport.(*http.Transport).DisableKeepAlives = true
	for i := range configs {
		for n := range k.revoked {
			if status, err := first.revoke(k.name(n)); err != nil || status != http.StatusOK {
				t.Fatalf("%d %v", status, err)
			}
			k.revoked[n].Store(i == len(configs)-1)
		}
		if err := c.reload(configs[i]); err != nil {
			t.Fatal(err)
		}
	}
	stop := crowd.keepBusy(k, 4, &wrong)
	for i := range 20 {
		if err := c.reload(configs[i%len(configs)]); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wrong.report(t)
}
