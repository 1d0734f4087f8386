package tests

import (
	"net/http"
	"sync"
	"testing"
)

// Promise 2: of all requests that run against revocations, none that began after
// the success answer reaches the upstream, and no other token is refused.
func TestRevocationsRaceRequests(t *testing.T) {
	requests, revocations := 100_000, 1_000
	if raceFlag == "-race=true" { // which makes all of it ten times slower
		requests, revocations = 10_000, 500
	}
	var wrong complaints
	up := newUpstream(t)
	up.handle = watchful(&wrong)
	c := startSampled(t, siteWith(), up, "to log each of 100,000 requests makes the race half as fast")
	const goroutines = 16
	crowd := newCrowd(t, c, 2*goroutines)
	k := newNumbered("race", revocations)

	next := make(chan int, revocations) // the tokens to revoke, one by one
	var revoking sync.WaitGroup
	for range 4 {
		revoking.Go(func() {
			for i := range next {
				status, err := crowd.revoke(k.name(i))
				if err != nil || status != http.StatusOK {
					wrong.add("revoking %s: %d %v", k.name(i), status, err)
					continue
				}
				k.revoked[i].Store(true)
			}
		})
	}
	every := requests * 9 / 10 / revocations
	crowd.traffic(k, goroutines, requests, &wrong, func(sent int) {
		if sent%every == 0 && sent/every <= revocations {
			next <- sent/every - 1
		}
	})
	close(next)
	revoking.Wait()
	for i := range k.revoked {
		if status, err := crowd.get(k.name(i), true); err != nil || status != http.StatusUnauthorized {
			wrong.add("%s: %d %v after all", k.name(i), status, err)
		}
	}
	wrong.report(t)
}
