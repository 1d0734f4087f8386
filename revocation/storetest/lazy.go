package storetest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func (f *fixture) putLazily(cursor []byte, records ...revocation.Record) {
	f.t.Helper()
	if err := f.store.Put(f.t.Context(), revocation.Batch{Records: records, Cursor: cursor, Lazy: true}); err != nil {
		f.t.Fatalf("Put: %v", err)
	}
}

func (f *fixture) wantsCursor(want []byte) {
	f.t.Helper()
	got, err := f.store.Cursor()
	if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		f.t.Fatalf("Cursor = %q, %v; want %q", got, err, want)
	}
}

// lazyIsSeen asserts that what was put lazily is seen when Put returns, and outlives
// the store.
func lazyIsSeen(t *testing.T, f *fixture) {
	const n = 300
	list := records(n, 60)
	for i, r := range list {
		position := binary.BigEndian.AppendUint64(nil, uint64(i))
		f.putLazily(position, r)
		clear(position) // the store has its own
		f.wants(r)
		f.wantsCursor(binary.BigEndian.AppendUint64(nil, uint64(i)))
		if i%100 == 0 && !slices.Equal(f.all(), sorted(list[:i+1])) {
			t.Fatalf("Scan does not find all that was put")
		}
	}
	f.reopen()
	if !slices.Equal(f.all(), sorted(list)) {
		t.Error("Scan does not find all that was put before a Close")
	}
	f.wantsCursor(binary.BigEndian.AppendUint64(nil, n-1))
	f.putLazily([]byte{}) // a cursor alone
	f.reopen()
	f.wantsCursor([]byte{})
}

// lazyMerges asserts that what was put lazily merges as all else does.
func lazyMerges(t *testing.T, f *fixture) {
	list, want := versions()
	for range 3 {
		for batch := range slices.Chunk(shuffled(list), 7) {
			f.putLazily(nil, batch[:len(batch)/2]...)
			f.put(batch[len(batch)/2:]...)
		}
		f.wants(want...)
		f.reopen()
		f.wants(want...)
	}
	expired, shorter := record(100, 0), record(100, 60)
	expired.Version = 7 // would count more, were it not forgotten
	f.putLazily(nil, expired)
	batch := revocation.Batch{Records: []revocation.Record{shorter}, Lazy: true, Forgotten: t0.Add(time.Second)}
	if err := f.store.Put(t.Context(), batch); err != nil {
		t.Fatalf("Put: %v", err)
	}
	f.wants(shorter)
}

// lazyIsDropped asserts that Drop does not spare what has only just been put, and that
// it can be put again.
func lazyIsDropped(t *testing.T, f *fixture) {
	list := records(20, 0)
	f.putLazily([]byte("cursor"), list...)
	if n, err := f.store.Drop(t.Context(), t0.Add(time.Second)); err != nil || n != len(list) {
		t.Errorf("Drop = %d, %v; want %d", n, err, len(list))
	}
	for _, r := range list {
		f.lacks(r.Key)
	}
	f.putLazily(nil, list[:10]...)
	f.wants(list[:10]...)
	f.reopen()
	f.wantsCursor([]byte("cursor"))
	if got := f.all(); !slices.Equal(got, sorted(list[:10])) {
		t.Errorf("Scan finds %d records, want 10", len(got))
	}
}

// lazyBesideOthers asserts that nothing is lost or comes back where all that changes
// the store does so at once.
func lazyBesideOthers(t *testing.T, f *fixture) {
	const writers, each = 4, 150
	stay := func(writer, i int) revocation.Record { return record(writer*each+i, 60) }
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			for i := range each {
				batch := revocation.Batch{
					Records: []revocation.Record{stay(writer, i), record(10_000+i, 0)},
					Lazy:    writer > 0 && i%3 > 0,
				}
				if writer == 0 {
					batch.Cursor = binary.BigEndian.AppendUint64(nil, uint64(i))
				}
				if err := f.store.Put(t.Context(), batch); err != nil {
					t.Errorf("Put: %v", err)
				}
				if got, err := f.store.Get(batch.Records[0].Key); err != nil || got != batch.Records[0] {
					t.Errorf("Get after Put = %+v, %v; want %+v", got, err, batch.Records[0])
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { wg.Wait(); close(written) }()
	drop := func() {
		if _, err := f.store.Drop(t.Context(), t0.Add(time.Second)); err != nil {
			t.Errorf("Drop: %v", err)
		}
	}
	for running := true; running; {
		select {
		case <-written:
			running = false
		default:
		}
		drop()
	}
	f.wantsCursor(binary.BigEndian.AppendUint64(nil, each-1))
	f.reopen()
	drop()
	if got, want := f.all(), sorted(records(writers*each, 60)); !slices.Equal(got, want) {
		t.Errorf("Scan finds %d records, want the %d that were put and have not ended", len(got), len(want))
	}
	f.wantsCursor(binary.BigEndian.AppendUint64(nil, each-1))
}
