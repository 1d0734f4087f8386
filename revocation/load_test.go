package revocation_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func TestLoad(t *testing.T) {
	store := newListStore(10_000)
	for i := range store.records {
		store.records[i].Key.Kind = revocation.Kind(1 + i%3)
		if i%2 == 0 {
			store.records[i].Expires = t0.Add(-leeway)
		}
	}
	store.sort()
	d := load(t, store, revocation.Options{Now: func() time.Time { return t0 }})
	if n := d.Stats().Total(); n != 5000 {
		t.Errorf("%d records were loaded, want the 5000 that are live", n)
	}
	for _, r := range store.records {
		if want, got := r.Expires.After(t0), d.Check(&r.Key).Outcome == revocation.Revoked; got != want {
			t.Fatalf("record %s: revoked is %t, want %t", r.Key, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	const n = 300_000 // some for each processor
	store := newListStore(n)
	var now clock
	var told []revocation.Progress
	load(t, store, revocation.Options{
		Now:      func() time.Time { now.move(600 * time.Millisecond); return now.now() },
		Progress: func(p revocation.Progress) { told = append(told, p) },
	})
	if len(told) == 0 || len(told) > n {
		t.Fatalf("Progress was called %d times", len(told))
	}
	for i, p := range told {
		if p.Part <= 0 || p.Part > 1 || p.Records <= 0 || p.Records > n {
			t.Errorf("Progress was told %+v", p)
		}
		if i > 0 && (p.Records <= told[i-1].Records || p.Part < told[i-1].Part) {
			t.Errorf("Progress was told %+v after %+v", p, told[i-1])
		}
		if part := float64(p.Records) / n; p.Part < part-0.1 || p.Part > part+0.2 {
			t.Errorf("Progress was told %+v, and so that %v of all is %v", p, p.Records, p.Part)
		}
	}
	load(t, store, revocation.Options{
		Now:      func() time.Time { return t0 },
		Progress: func(p revocation.Progress) { t.Errorf("Progress was told %+v within a second", p) },
	})
}

func TestLoadFails(t *testing.T) {
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name    string
		ctx     context.Context
		scan    error
		options revocation.Options
		want    error
	}{
		{"the store fails", t.Context(), broken, revocation.Options{CacheBytes: 1}, broken},
		{"the context has ended", cancelled, nil, revocation.Options{CacheBytes: 1}, context.Canceled},
		{"no cache", t.Context(), nil, revocation.Options{}, nil},
		{"a negative leeway", t.Context(), nil, revocation.Options{CacheBytes: 1, Leeway: -1}, nil},
	} {
		running := goleak.IgnoreCurrent()
		store := newListStore(100_000)
		store.scanError = test.scan
		_, err := revocation.Open(test.ctx, store, test.options)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: Open = %v, want %v", test.name, err, test.want)
		}
		if !store.closed.Load() {
			t.Errorf("%s: the store was left open", test.name)
		}
		goleak.VerifyNone(t, running)
	}
}

func load(t *testing.T, store revocation.Store, options revocation.Options) *revocation.Denylist {
	t.Helper()
	options.CacheBytes, options.Leeway = 1<<20, leeway
	d, err := revocation.Open(t.Context(), store, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// listStore is a store that can only be read.
type listStore struct {
	revocation.Store
	records   []revocation.Record // in the order of their keys
	scanError error               // at the end of a scan
	closed    atomic.Bool
}

func (s *listStore) Cursor() ([]byte, error) { return nil, nil }

// newListStore has n records of evenly spread keys, nearly as digests are.
func newListStore(n int) *listStore {
	s := &listStore{records: make([]revocation.Record, n)}
	for i := range s.records {
		r := record(0, time.Hour)
		binary.BigEndian.PutUint64(r.Key.Digest[:], uint64(i)*(math.MaxUint64/uint64(n)))
		s.records[i] = r
	}
	return s
}

func (s *listStore) sort() {
	slices.SortFunc(s.records, func(a, b revocation.Record) int { return a.Key.Compare(b.Key) })
}

// find is where a key stands, or would stand.
func (s *listStore) find(key revocation.Key) (i int, found bool) {
	return slices.BinarySearchFunc(s.records, key, func(r revocation.Record, k revocation.Key) int { return r.Key.Compare(k) })
}

func (s *listStore) Scan(ctx context.Context, from revocation.Key, f func(revocation.Record) error) error {
	first, _ := s.find(from)
	for _, r := range s.records[first:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return s.scanError
}

func (s *listStore) Get(key revocation.Key) (revocation.Record, error) {
	if i, found := s.find(key); found {
		return s.records[i], nil
	}
	return revocation.Record{}, revocation.ErrNotFound
}

func (s *listStore) Close() error {
	s.closed.Store(true)
	return nil
}
