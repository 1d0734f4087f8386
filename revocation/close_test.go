package revocation_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Old handlers outlive a reload: what they ask for then is an error.
func TestClosed(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	for range 2 {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	for _, key := range []revocation.Key{key(1), key(2)} {
		if got := f.Check(&key); got.Outcome != revocation.Unknown || !errors.Is(got.Err, revocation.ErrClosed) {
			t.Errorf("Check after Close = %+v; want Unknown and ErrClosed", got)
		}
	}
	for name, err := range map[string]error{
		"Revoke": f.Revoke(t.Context(), record(2, time.Hour)),
		"Sweep":  f.Sweep(t.Context()),
		"Tune":   f.Tune(f.options),
	} {
		if !errors.Is(err, revocation.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
}

// Close comes in the middle of everything: no panic, no wrong answer, and no
// revocation lost that was answered for.
func TestCloseBesideEverything(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	started := make(chan struct{}, 1000)
	for caller := range 8 {
		wg.Go(func() {
			for i := caller * 1000; ; i++ {
				err := f.Revoke(t.Context(), record(i, time.Hour))
				if err == nil {
					select {
					case started <- struct{}{}:
					default: // nobody waits any more
					}
				} else if errors.Is(err, revocation.ErrClosed) {
					return
				} else {
					t.Errorf("Revoke: %v", err)
				}
				key := key(i)
				switch got := f.Check(&key); {
				case got.Outcome == revocation.Clear:
					t.Errorf("Check after Revoke = %+v", got)
				case got.Outcome == revocation.Unknown && !errors.Is(got.Err, revocation.ErrClosed):
					t.Errorf("Check = %+v", got)
				}
			}
		})
	}
	wg.Go(func() {
		for f.Sweep(t.Context()) == nil && f.Tune(f.options) == nil {
			f.Stats()
		}
	})
	for range 200 {
		<-started
	}
	_ = f.Close()
	wg.Wait()
}

func TestNothingRunsAfterClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	f.reopen()
	f.wants(revocation.Revoked, key(1))
	if err := f.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// Close waits for a sweep that is under way, as the store must outlast it.
func TestCloseWaitsForASweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{listStore: newListStore(1)}
		d, err := revocation.Open(t.Context(), store, revocation.Options{CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // which takes no time in a bubble
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if !store.swept {
			t.Error("Close came first")
		}
	})
}

// Close waits for a revocation that is under way.
func TestCloseWaitsForARevocation(t *testing.T) {
	store := &slowStore{listStore: newListStore(1), putting: make(chan struct{})}
	d, err := revocation.Open(t.Context(), store, revocation.Options{CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	r := record(1, 0)
	r.Expires = time.Now().Add(time.Hour)
	answer := make(chan error)
	go func() { answer <- d.Revoke(t.Context(), r) }()
	<-store.putting
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-answer; err != nil {
		t.Errorf("Revoke: %v", err)
	}
}

// slowStore is a store in which a Put takes long, and a Drop until it is told
// to stop, and then some.
type slowStore struct {
	*listStore
	putting chan struct{}
	swept   bool
}

func (s *slowStore) Put(context.Context, revocation.Batch) error {
	close(s.putting)
	for range 100_000 {
		if runtime.Gosched(); s.closed.Load() {
			return errors.New("closed beneath a Put")
		}
	}
	return nil
}

func (s *slowStore) Drop(ctx context.Context, _ time.Time) (int, error) {
	<-ctx.Done()
	time.Sleep(time.Second)
	s.swept = true
	return 0, ctx.Err()
}
