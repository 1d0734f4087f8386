package revocation_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func TestRecordEndsAfterTheLeeway(t *testing.T) {
	f := newFixture(t)
	r := record(1, time.Hour-500*time.Millisecond) // counts until the full second
	f.revoke(r)
	f.clock.move(time.Hour + leeway - 1)
	f.wants(revocation.Revoked, key(1))
	if !f.Cached(key(1)) {
		t.Fatal("the record is not cached")
	}
	f.clock.move(1)
	f.wants(revocation.Clear, key(1))
}

// A cached record that has ended does not hide a longer one in the store.
func TestStaleCacheEndsNothingEarly(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Minute))
	f.wants(revocation.Revoked, key(1))
	if !f.Cached(key(1)) {
		t.Fatal("the record is not cached")
	}
	longer := revocation.Batch{Records: []revocation.Record{record(1, time.Hour)}}
	if err := f.store.Put(t.Context(), longer); err != nil {
		t.Fatal(err)
	}
	f.clock.move(30 * time.Minute)
	f.wants(revocation.Revoked, key(1))
}

func TestSweep(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour), record(2, 3*time.Hour), record(3, time.Hour))
	f.revoke(record(3, 3*time.Hour)) // extended
	sweep := func(wantRecords int) {
		t.Helper()
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		if got := f.Stats().Total(); got != wantRecords {
			t.Errorf("%d records are left in the index, want %d", got, wantRecords)
		}
	}
	f.clock.move(time.Hour + leeway - 1)
	sweep(3)
	f.wants(revocation.Revoked, key(1), key(2), key(3))
	f.clock.move(2 * time.Minute) // the index forgets by the minute
	sweep(2)
	f.wants(revocation.Clear, key(1))
	f.wants(revocation.Revoked, key(2), key(3))
	if _, err := f.store.Get(key(1)); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("Get of what was swept = %v, want ErrNotFound", err)
	}
	f.clock.move(24 * time.Hour)
	sweep(0)
	if n := f.Stats().IndexBytes; n != 0 {
		t.Errorf("an empty index takes %d bytes", n)
	}
}

// In a bubble an hour takes no time.
func TestSweepsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := make(chan error, 100)
		f := newFixture(t, func(o *revocation.Options) {
			o.Now = time.Now
			o.Failed = func(err error) { failures <- err }
		})
		r := record(1, 0)
		r.Expires = time.Now().Add(10 * time.Minute)
		f.revoke(r)
		broken := errors.New("broken")
		fail(&f.store.dropError, broken)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if n := f.Stats().Total(); n != 0 {
			t.Errorf("%d records are left in the index", n)
		}
		if err := <-failures; !errors.Is(err, broken) {
			t.Errorf("Failed was told %v", err)
		}
		mend(&f.store.dropError)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if _, err := f.store.Get(r.Key); !errors.Is(err, revocation.ErrNotFound) {
			t.Errorf("Get of what has ended = %v, want ErrNotFound", err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestTune(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	f.clock.move(time.Hour + 2*leeway)
	f.wants(revocation.Clear, key(1))
	tune := func(cacheBytes int64, leeway time.Duration) error {
		return f.Tune(revocation.Options{CacheBytes: cacheBytes, Leeway: leeway})
	}
	if err := tune(1, 3*leeway); err != nil { // a cache for nothing at all
		t.Fatalf("Tune: %v", err)
	}
	f.wants(revocation.Revoked, key(1))
	if err := tune(1<<20, 0); err != nil {
		t.Fatalf("Tune: %v", err)
	}
	f.wants(revocation.Clear, key(1))
	for _, err := range []error{tune(0, 0), tune(-1, 0), tune(1, -1)} {
		if err == nil {
			t.Error("Tune took nonsense")
		}
	}
}

// With more leeway, what the index has forgotten meanwhile is live again.
func TestMoreLeewayBringsBack(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Minute))
	f.clock.move(time.Hour)
	f.SweepIndex()
	f.wants(revocation.Clear, key(1))
	if err := f.Tune(revocation.Options{CacheBytes: 1 << 20, Leeway: 2 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	f.wants(revocation.Revoked, key(1))
}
