package tests

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Promises 1 and 3: kill -9 in the middle of 1,000 revocations, twenty times.
// Every one that was acknowledged is refused after the restart.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	const revocations, goroutines = 1_000, 16
	rounds := 20
	if raceFlag == "-race=true" { // which makes all of it ten times slower
		rounds = 5
	}
	c := startSampled(t, siteWith(), newUpstream(t), "what was acknowledged when it was killed is to be as much as it can")
	var all []*numbered
	for round := range rounds {
		crowd := newCrowd(t, c, goroutines)
		k := newNumbered(fmt.Sprintf("round%d", round), revocations)
		all = append(all, k)
		var next, acknowledged atomic.Int64
		enough := make(chan struct{})
		killAt := int64(20 + round*(revocations-300)/rounds) // with enough to come, however late it is killed
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for {
					i := int(next.Add(1)) - 1
					if i >= revocations {
						return
					}
					status, err := crowd.revokeOnce(k.name(i))
					if err != nil {
						return // killed
					}
					if status != http.StatusOK {
						t.Errorf("revoking: %d", status)
						return
					}
					k.revoked[i].Store(true)
					if acknowledged.Add(1) == killAt {
						close(enough)
					}
				}
			})
		}
		<-enough
		c.kill(syscall.SIGKILL)
		wg.Wait()
		c.launch(siteWith())
		refused(t, c, k)
		if n := acknowledged.Load(); n >= revocations {
			t.Errorf("round %d: all %d were acknowledged before the kill", round, n)
		}
	}
	for _, k := range all {
		refused(t, c, k)
	}
	if a := c.bearer(t, named("valid")); a.status != http.StatusOK {
		t.Errorf("a token that was never revoked: %d", a.status)
	}
}

// refused asks with every token whose revocation was acknowledged.
func refused(t *testing.T, c *caddy, k *numbered) {
	t.Helper()
	crowd := newCrowd(t, c, 4)
	for i := range k.revoked {
		if !k.revoked[i].Load() {
			continue
		}
		if status, err := crowd.get(k.name(i), true); err != nil || status != http.StatusUnauthorized {
			t.Fatalf("%s was acknowledged: %d %v", k.name(i), status, err)
		}
	}
}
