package revocation_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
)

func TestRevoke(t *testing.T) {
	f := newFixture(t)
	f.wants(revocation.Clear, key(1), key(2))
	r := record(1, time.Hour)
	f.revoke(r)
	if got := f.Check(&r.Key); got.Outcome != revocation.Revoked || *got.Record != r {
		t.Errorf("Check = %+v, want Revoked by %+v", got, r)
	}
	other := key(1)
	other.Kind++
	f.wants(revocation.Clear, key(2), other)
}

// Whoever revokes a token can rely on it from the moment of the answer.
func TestRevokeIsEnforcedAtOnce(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for caller := range 16 {
		wg.Go(func() {
			for i := range 100 {
				r := record(caller*1000+i, time.Hour)
				if err := f.Revoke(t.Context(), r); err != nil {
					t.Errorf("Revoke: %v", err)
				}
				if got := f.Check(&r.Key); got.Outcome != revocation.Revoked {
					t.Errorf("Check after Revoke = %+v", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestRevokeKeepsTheLaterEnd(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour), record(1, time.Minute))
	f.revoke(record(1, time.Second))
	f.clock.move(59 * time.Minute)
	f.wants(revocation.Revoked, key(1))
	f.revoke(record(1, 2*time.Hour))
	f.clock.move(time.Hour)
	f.wants(revocation.Revoked, key(1))
}

func TestRevokeLeavesOutWhatHasEnded(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, -leeway), record(2, -leeway+time.Second), record(3, time.Hour))
	f.wants(revocation.Clear, key(1))
	f.wants(revocation.Revoked, key(2), key(3))
	if _, err := f.store.Get(key(1)); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("a record that had ended was stored: %v", err)
	}
}

func TestRevokeRefusesWhatItCannotStore(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("x", revocation.MaxText+1)
	for name, change := range map[string]func(*revocation.Record){
		"a long By":        func(r *revocation.Record) { r.By = long },
		"a long Reason":    func(r *revocation.Record) { r.Reason = long },
		"a key of no kind": func(r *revocation.Record) { r.Key.Kind = 0 },
	} {
		bad := record(1, time.Hour)
		change(&bad)
		if err := f.Revoke(t.Context(), record(2, time.Hour), bad); !errors.Is(err, revocation.ErrInvalid) {
			t.Errorf("%s: Revoke = %v, want ErrInvalid", name, err)
		}
		f.wants(revocation.Clear, key(1), key(2)) // all or nothing
	}
	if n := f.Stats().Total(); n != 0 {
		t.Errorf("%d records are in the index", n)
	}
}

// The cache forgets, and the answers stay the same.
func TestMoreRecordsThanTheCacheHolds(t *testing.T) {
	const cacheBytes, n = 64 << 10, 2500 // room for 250
	f := newFixture(t, func(o *revocation.Options) { o.CacheBytes = cacheBytes })
	list := make([]revocation.Record, n)
	for i := range list {
		list[i] = record(i, time.Hour)
	}
	for batch := range slices.Chunk(list, 100) {
		f.revoke(batch...)
	}
	for range 3 {
		for _, r := range list {
			f.wants(revocation.Revoked, r.Key)
		}
	}
	cached := 0
	for _, r := range list {
		if f.Cached(r.Key) {
			cached++
		}
	}
	if cached == 0 || cached > n/5 {
		t.Errorf("the cache holds %d records, so that nothing was tested", cached)
	}
}

// A key that only collides with a revoked one is not refused.
func TestFalsePositive(t *testing.T) {
	f := newFixture(t)
	f.Suspect(key(1))
	f.wants(revocation.Clear, key(1))
}

func TestCheckOfWhatIsNotRevokedDoesNotAllocate(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	absent := key(2)
	if n := testing.AllocsPerRun(1000, func() { f.Check(&absent) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReopen(t *testing.T) {
	f := newFixture(t)
	for i := range 100 {
		f.revoke(record(i, time.Duration(i)*time.Minute))
	}
	f.clock.move(50*time.Minute + leeway)
	f.reopen()
	for i := range 100 {
		want := revocation.Clear
		if i > 50 {
			want = revocation.Revoked
		}
		f.wants(want, key(i))
	}
	if n := f.Stats().Total(); n != 49 {
		t.Errorf("%d records were loaded, want the 49 that are live", n)
	}
}

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const leeway = time.Minute

// clock is a clock that stands still until it is moved.
type clock struct{ elapsed atomic.Int64 }

func (c *clock) now() time.Time       { return t0.Add(time.Duration(c.elapsed.Load())) }
func (c *clock) move(d time.Duration) { c.elapsed.Add(int64(d)) }

// fixture is a denylist on a real file, with a clock and a store that do as told.
type fixture struct {
	*revocation.Denylist
	t       *testing.T
	path    string
	clock   clock
	store   *shakyStore
	options revocation.Options
}

func newFixture(t *testing.T, change ...func(*revocation.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, path: filepath.Join(t.TempDir(), "denylist.db")}
	f.options = revocation.Options{CacheBytes: 1 << 20, Leeway: leeway, Now: f.clock.now}
	for _, change := range change {
		change(&f.options)
	}
	f.reopen()
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func (f *fixture) reopen() {
	f.t.Helper()
	if f.Denylist != nil {
		if err := f.Close(); err != nil {
			f.t.Fatalf("Close: %v", err)
		}
	}
	store, err := boltstore.Open(f.t.Context(), f.path, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	f.store = &shakyStore{Store: store}
	if f.Denylist, err = revocation.Open(f.t.Context(), f.store, f.options); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) revoke(records ...revocation.Record) {
	f.t.Helper()
	if err := f.Revoke(f.t.Context(), records...); err != nil {
		f.t.Fatalf("Revoke: %v", err)
	}
}

func (f *fixture) wants(want revocation.Outcome, keys ...revocation.Key) {
	f.t.Helper()
	for _, key := range keys {
		if got := f.Check(&key); got.Outcome != want {
			f.t.Fatalf("Check(%s) = %+v, want outcome %d", key, got, want)
		}
	}
}

func key(i int) revocation.Key {
	return revocation.Key{
		Kind:   revocation.KindToken,
		Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))),
	}
}

// record is the record of key(i) that ends so long after t0.
func record(i int, end time.Duration) revocation.Record {
	return revocation.Record{Key: key(i), Revoked: t0, Expires: t0.Add(end), By: "client"}
}

// shakyStore is a store that fails when told to.
type shakyStore struct {
	revocation.Store
	getError, putError, dropError atomic.Pointer[error]
	putAnyway                     atomic.Bool // stores, and fails all the same
	puts                          atomic.Int32
}

func fail(p *atomic.Pointer[error], err error) { p.Store(&err) }
func mend(p *atomic.Pointer[error])            { p.Store(nil) }

func (s *shakyStore) Get(key revocation.Key) (revocation.Record, error) {
	if err := s.getError.Load(); err != nil {
		return revocation.Record{}, *err
	}
	return s.Store.Get(key)
}

func (s *shakyStore) Put(ctx context.Context, batch revocation.Batch) error {
	s.puts.Add(1)
	failure := s.putError.Load()
	if failure == nil {
		return s.Store.Put(ctx, batch)
	}
	if s.putAnyway.Load() {
		if err := s.Store.Put(ctx, batch); err != nil {
			return err
		}
	}
	return *failure
}

func (s *shakyStore) Drop(ctx context.Context, before time.Time) (int, error) {
	if err := s.dropError.Load(); err != nil {
		return 0, *err
	}
	return s.Store.Drop(ctx, before)
}
