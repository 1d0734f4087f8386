// Package storetest holds every implementation of [revocation.Store] to what
// the interface's comment says.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Open opens the store that lives in one place. After a Close it opens what is
// in that place again.
type Open func() (revocation.Store, error)

// Run runs the whole suite. For each of its tests it asks for a new place, in
// which nothing is stored yet.
func Run(t *testing.T, place func(t *testing.T) Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"put is durable", durable},
		{"put merges", merges},
		{"put in any order gives one state", anyOrder},
		{"put concurrently gives one state", concurrentOrder},
		{"put by many callers", manyCallers},
		{"put at the limits", limits},
		{"put with nothing in it", emptyBatch},
		{"put without time", cancelledPut},
		{"put running out of time", cancelledPuts},
		{"cursor", cursor},
		{"cursor comes with its records", func(t *testing.T, f *fixture) { cursorWithRecords(t, f, false) }},
		{"cursor comes with its records, lazily", func(t *testing.T, f *fixture) { cursorWithRecords(t, f, true) }},
		{"put lazily is seen at once", lazyIsSeen},
		{"put lazily merges", lazyMerges},
		{"put lazily beside others", lazyBesideOthers},
		{"get what is not there", notFound},
		{"scan in order", scanInOrder},
		{"scan from a key", scanFrom},
		{"scan ends with an error", scanEnds},
		{"scan beside puts", scanBesidePuts},
		{"drop by time", drop},
		{"drop spares what is extended", dropBesidePut},
		{"drop what was put lazily", lazyIsDropped},
		{"drop without time", cancelledDrop},
		{"closed", closed},
		{"close beside puts", closeBesidePuts},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fixture{t: t, open: place(t)}
			f.reopen()
			t.Cleanup(func() { _ = f.store.Close() })
			test.run(t, f)
		})
	}
}

// fixture is a store and the place where it lives.
type fixture struct {
	t     *testing.T
	open  Open
	store revocation.Store
}

func (f *fixture) reopen() {
	f.t.Helper()
	if f.store != nil {
		if err := f.store.Close(); err != nil {
			f.t.Fatalf("Close: %v", err)
		}
	}
	var err error
	if f.store, err = f.open(); err != nil {
		f.t.Fatalf("open: %v", err)
	}
}

func (f *fixture) put(records ...revocation.Record) {
	f.t.Helper()
	if err := f.store.Put(f.t.Context(), revocation.Batch{Records: records}); err != nil {
		f.t.Fatalf("Put: %v", err)
	}
}

// wants asserts that each record is stored exactly so.
func (f *fixture) wants(records ...revocation.Record) {
	f.t.Helper()
	for _, want := range records {
		if got, err := f.store.Get(want.Key); err != nil || got != want {
			f.t.Fatalf("Get(%s) = %+v, %v; want %+v", want.Key, got, err, want)
		}
	}
}

// lacks asserts that no record of the key is stored.
func (f *fixture) lacks(key revocation.Key) {
	f.t.Helper()
	if got, err := f.store.Get(key); !errors.Is(err, revocation.ErrNotFound) {
		f.t.Fatalf("Get(%s) = %+v, %v; want ErrNotFound", key, got, err)
	}
}

// all is what a scan finds.
func (f *fixture) all() []revocation.Record {
	f.t.Helper()
	var found []revocation.Record
	err := f.store.Scan(f.t.Context(), revocation.Key{}, func(r revocation.Record) error {
		found = append(found, r)
		return nil
	})
	if err != nil {
		f.t.Fatalf("Scan: %v", err)
	}
	return found
}

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func key(i int) revocation.Key {
	return revocation.Key{
		Kind:   revocation.KindToken,
		Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))),
	}
}

// record is the record of key(i) that ends that many seconds after t0.
func record(i, seconds int) revocation.Record {
	return revocation.Record{
		Key:     key(i),
		Revoked: t0,
		Expires: t0.Add(time.Duration(seconds) * time.Second),
		By:      "client",
		Reason:  "test",
	}
}

func records(n, seconds int) []revocation.Record {
	list := make([]revocation.Record, n)
	for i := range list {
		list[i] = record(i, seconds)
	}
	return list
}

func shuffled[T any](list []T) []T {
	list = append([]T(nil), list...)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func cancelled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
