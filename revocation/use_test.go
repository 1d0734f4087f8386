package revocation_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// once is something that may be used once, until an end from now.
func once(name string, end time.Duration) revocation.Record {
	return revocation.Record{Key: revocation.UsedKey("client", name), Revoked: t0, Expires: t0.Add(end), By: "client"}
}

func (f *fixture) use(want error, once revocation.Record, records ...revocation.Record) {
	f.t.Helper()
	if err := f.Use(f.t.Context(), once, records...); !errors.Is(err, want) {
		f.t.Errorf("Use of %s = %v, want %v", once.Key, err, want)
	}
}

func TestUse(t *testing.T) {
	f := newFixture(t)
	f.use(nil, once("a", time.Hour), record(1, 2*time.Hour), record(2, 2*time.Hour))
	f.wants(revocation.Revoked, key(1), key(2))
	f.use(revocation.ErrUsed, once("a", time.Hour), record(3, time.Hour))
	f.use(revocation.ErrUsed, once("a", 3*time.Hour)) // whatever it says now
	f.wants(revocation.Clear, key(3))
	f.use(nil, once("b", time.Hour)) // for nothing, and used all the same
	f.use(revocation.ErrUsed, once("b", time.Hour), record(3, time.Hour))
	f.use(nil, revocation.Record{Key: revocation.UsedKey("another client", "a"), Expires: t0.Add(time.Hour)})
	f.wants(revocation.Clear, key(3))

	for range 2 {
		f.reopen()
		f.wants(revocation.Revoked, key(1), key(2))
		f.use(revocation.ErrUsed, once("a", time.Hour), record(3, time.Hour))
		f.use(revocation.ErrUsed, once("b", time.Hour), record(3, time.Hour))
		f.wants(revocation.Clear, key(3))
	}
	f.clock.move(time.Hour - time.Nanosecond)
	f.use(revocation.ErrUsed, once("a", time.Hour))
	f.clock.move(2 * time.Hour) // and nothing is kept longer than it matters
	if err := f.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.Stats().Total(); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// Keys of one kind or client are not those of another.
func TestUsedKey(t *testing.T) {
	seen := map[revocation.Key]string{}
	for name, key := range map[string]revocation.Key{
		"a, b": revocation.UsedKey("a", "b"), "ab,": revocation.UsedKey("ab", ""), ",ab": revocation.UsedKey("", "ab"), "b, a": revocation.UsedKey("b", "a"),
		"session": revocation.SessionKey("a", "b"),
	} {
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have the same key", name, other)
		}
		seen[key] = name
	}
}

// Of many at once exactly one succeeds, and only what came with it is done.
func TestUseAtOnce(t *testing.T) {
	f := newFixture(t)
	for round := range 20 {
		var wg sync.WaitGroup
		var done atomic.Int64
		winner := atomic.Int64{}
		for caller := range 16 {
			wg.Go(func() {
				i := round*100 + caller
				switch err := f.Use(t.Context(), once(fmt.Sprint(round), time.Hour), record(i, time.Hour)); {
				case err == nil:
					done.Add(1)
					winner.Store(int64(i))
				case !errors.Is(err, revocation.ErrUsed):
					t.Errorf("Use = %v", err)
				}
			})
		}
		wg.Wait()
		if done.Load() != 1 {
			t.Fatalf("%d of 16 have used it", done.Load())
		}
		for caller := range 16 {
			want := revocation.Clear
			if i := round*100 + caller; int64(i) == winner.Load() {
				want = revocation.Revoked
			}
			f.wants(want, key(round*100+caller))
		}
	}
}

// What was not stored has not been used; what may have been stored is used if it
// was; and where nobody knows, nothing is done.
func TestUseWithFailingStore(t *testing.T) {
	f := newFixture(t)
	fail(&f.store.putError, fmt.Errorf("%w: %w", revocation.ErrNotStored, errDisk))
	f.use(errDisk, once("a", time.Hour), record(1, time.Hour))
	f.wants(revocation.Clear, key(1))

	fail(&f.store.putError, errDisk)
	f.use(errDisk, once("a", time.Hour), record(1, time.Hour))
	f.wants(revocation.Clear, key(1))
	f.store.putAnyway.Store(true)
	f.use(errDisk, once("b", time.Hour), record(2, time.Hour))
	mend(&f.store.putError)
	f.wants(revocation.Revoked, key(2))
	f.use(revocation.ErrUsed, once("b", time.Hour), record(3, time.Hour))

	f.use(nil, once("a", time.Hour), record(1, time.Hour))
	f.wants(revocation.Revoked, key(1))
	f.reopen() // with an empty cache
	fail(&f.store.getError, errDisk)
	f.use(errDisk, once("a", time.Hour), record(3, time.Hour))
	mend(&f.store.getError)
	f.wants(revocation.Clear, key(3))
	f.use(revocation.ErrUsed, once("a", time.Hour))
}

func TestUseInvalid(t *testing.T) {
	f := newFixture(t)
	bad := record(1, time.Hour)
	bad.Key.Kind = 0
	f.use(revocation.ErrInvalid, once("a", time.Hour), bad)
	f.use(nil, once("a", time.Hour))
	f.use(revocation.ErrInvalid, once("b", -leeway), record(2, time.Hour)) // it could be used again and again
	f.wants(revocation.Clear, key(2))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.use(revocation.ErrClosed, once("a", time.Hour))
	f.use(revocation.ErrClosed, once("b", time.Hour))
}
