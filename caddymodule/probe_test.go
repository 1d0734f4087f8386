package caddymodule

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask, and however often, a store is asked once a second.
func TestProbeIsRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probe
		var times atomic.Int64
		failure := errors.New("a failure")
		work := func() error {
			time.Sleep(10 * time.Millisecond)
			if times.Add(1)%2 == 0 {
				return failure
			}
			return nil
		}
		for second := range int64(6) {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					for range 9 {
						if err := p.ask(t.Context(), work); errors.Is(err, failure) != (second%2 == 1) {
							t.Errorf("second %d: %v", second, err)
						}
						time.Sleep(100 * time.Millisecond)
					}
				})
			}
			wg.Wait()
			if n := times.Load(); n != second+1 {
				t.Errorf("asked %d times in %d seconds", n, second+1)
			}
			time.Sleep(probeFor - 900*time.Millisecond)
		}
	})
}

// A store that is stuck holds nobody up for more than a second, nor is it asked
// again; once it goes on, so does the probe.
func TestProbeOfWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p probe
		var times atomic.Int64
		release := make(chan struct{})
		work := func() error {
			times.Add(1)
			<-release
			return nil
		}
		ask := func(atMost time.Duration) {
			t.Helper()
			began := time.Now()
			err := p.ask(t.Context(), work)
			if took := time.Since(began); !errors.Is(err, errStuck) || took > atMost {
				t.Errorf("%v after %s, want at most %s", err, took, atMost)
			}
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { ask(probeTimeout) })
		}
		wg.Wait()
		for range 50 {
			ask(0)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.ask(gone, work); err == nil {
			t.Error("a probe that is stuck says that all is well")
		}
		if n := times.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		close(release)
		synctest.Wait()
		if err := p.ask(t.Context(), work); err != nil || times.Load() != 2 {
			t.Errorf("%v, asked %d times", err, times.Load())
		}
	})
}
