package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// The file is replaced beneath the process: what would be written to the old one
// is gone after a restart, and so is not acknowledged.
func TestStoreReplaced(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	c.revoke(t, named("before"))
	replaceStore(t, c)
	for range 3 {
		a := c.post(t, url.Values{"token": {named("after")}}, "backend", "backend-secret")
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("revoking: %d %s", a.status, a.body)
		}
	}
	for token, status := range map[string]int{named("before"): http.StatusUnauthorized, named("after"): http.StatusOK} {
		if a := c.bearer(t, token); a.status != status {
			t.Errorf("%s: %d, want %d", token, a.status, status)
		}
	}
	if err := c.reload(strings.Replace(siteWith(), "STORE", "STORE.other", 1)); err != nil {
		t.Fatal(err)
	}
	if err := c.reload(siteWith()); err != nil { // opens the new file
		t.Fatal(err)
	}
	c.revoke(t, named("after"))
	for _, token := range []string{named("before"), named("after")} {
		if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", token, a.status)
		}
	}
}

// replaceStore replaces the file of the store beneath the process, which from
// then on writes nothing to the old one.
func replaceStore(t *testing.T, c *caddy) {
	t.Helper()
	store := c.names.Replace("STORE")
	b, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(store+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(store+".new", store); err != nil {
		t.Fatal(err)
	}
}

// The file is cut short beneath the process, so that what is mapped into memory
// is not there any more: no crash, no wait without end, nothing acknowledged,
// no revoked token passes, and others do.
func TestStoreTruncated(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"to nothing": 0, "to the first page": 4096, "to two pages": 8192, "to some pages": 20000} {
		t.Run(name, func(t *testing.T) {
			// A cache for one record: the store is asked for the others.
			c := start(t, strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tcache 256B", 1), newUpstream(t))
			const n = 200
			for i := range n {
				c.revoke(t, named(fmt.Sprint("dead|", i)))
			}
			if err := os.Truncate(c.names.Replace("STORE"), size); err != nil {
				t.Fatal(err)
			}
			unavailable := 0
			for round := range 2 {
				for i := range n {
					a := c.bearer(t, named(fmt.Sprint("dead|", i)))
					switch a.status {
					case http.StatusUnauthorized:
					case http.StatusServiceUnavailable:
						unavailable++
					default:
						t.Errorf("dead|%d: %d", i, a.status)
					}
					if a := c.bearer(t, named(fmt.Sprint("valid|", i))); a.status != http.StatusOK {
						t.Errorf("valid|%d: %d", i, a.status)
					}
				}
				if a := c.post(t, url.Values{"token": {named(fmt.Sprint("late|", round))}}, "backend", "backend-secret"); a.status != http.StatusServiceUnavailable {
					t.Errorf("revoking: %d %s", a.status, a.body)
				}
			}
			t.Logf("%d of %d checks could not be answered", unavailable, 2*n)
		})
	}
}
