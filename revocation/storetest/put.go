package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const callers = 64

func durable(_ *testing.T, f *fixture) {
	want := records(10, 60)
	f.put(want...)
	f.wants(want...)
	f.reopen()
	f.wants(want...)
}

func merges(t *testing.T, f *fixture) {
	late := record(1, 60)
	early := late
	early.Expires = late.Expires.Add(-time.Second)
	early.Revoked = late.Revoked.Add(time.Second) // again, for a shorter time
	early.By, early.Reason = "another", "shorter"
	for _, batch := range [][]revocation.Record{{late}, {early}, {early, early}, {early, late, early}} {
		f.put(batch...)
		f.wants(late)
	}
	later := late
	later.Expires = late.Expires.Add(time.Second)
	f.put(later)
	f.wants(later)
	f.reopen()
	f.wants(later)
}

// versions are records of few keys that differ in everything that Merge looks
// at, and what all of them together come to.
func versions() (list, want []revocation.Record) {
	for i := range 5 {
		var merged revocation.Record
		for j := range 80 {
			r := record(i, j/8%5)
			if j >= 40 {
				r.Effect, r.Version = revocation.Effect(j/8%3), uint64(j/16%2)
				r.Operator, r.Issuer, r.Value, r.IssuedBefore = j%3 == 0, "https://i", "alice", t0.Add(time.Duration(j%5)*time.Millisecond)
			}
			r.Revoked = t0.Add(time.Duration(j%2) * time.Millisecond)
			r.By = string(rune('a' + j/2%2))
			r.Reason = string(rune('a' + j/4%2))
			list = append(list, r)
			if j == 0 {
				merged = r
			}
			merged = revocation.Merge(merged, r)
		}
		want = append(want, merged)
	}
	return list, want
}

func anyOrder(t *testing.T, f *fixture) {
	list, want := versions()
	for range 5 {
		for batch := range slices.Chunk(shuffled(list), 7) {
			f.put(batch...)
		}
	}
	f.wants(want...)
}

func concurrentOrder(t *testing.T, f *fixture) {
	list, want := versions()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for batch := range slices.Chunk(shuffled(list), 11) {
				if err := f.store.Put(t.Context(), revocation.Batch{Records: batch}); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	f.reopen()
	f.wants(want...)
}

func manyCallers(t *testing.T, f *fixture) {
	const each = 8
	want := records(callers*each, 60)
	var wg sync.WaitGroup
	for own := range slices.Chunk(want, each) {
		wg.Go(func() {
			for _, r := range own {
				if err := f.store.Put(t.Context(), revocation.Batch{Records: []revocation.Record{r}}); err != nil {
					t.Errorf("Put: %v", err)
				}
				if got, err := f.store.Get(r.Key); err != nil || got != r {
					t.Errorf("Get after Put = %+v, %v; want %+v", got, err, r)
				}
			}
		})
	}
	wg.Wait()
	f.reopen()
	f.wants(want...)
}

func limits(_ *testing.T, f *fixture) {
	text := strings.Repeat("\x00\xff ü", revocation.MaxText)[:revocation.MaxText]
	first := revocation.Record{
		Key:     revocation.Key{Kind: 1},
		Revoked: time.UnixMilli(0).UTC(),
		Expires: time.Unix(0, 0).UTC(),
	}
	last := revocation.Record{
		Key:     revocation.Key{Kind: math.MaxUint8, Digest: [32]byte(bytes.Repeat([]byte{0xff}, 32))},
		Revoked: revocation.MaxExpires.Add(999 * time.Millisecond),
		Expires: revocation.MaxExpires,
		By:      text,
		Reason:  text,
	}
	f.put(last, first)
	f.reopen()
	f.wants(first, last)
	if got := f.all(); !slices.Equal(got, []revocation.Record{first, last}) {
		f.t.Errorf("Scan found %+v", got)
	}
}

func emptyBatch(_ *testing.T, f *fixture) {
	f.put()
	if got := f.all(); len(got) > 0 {
		f.t.Errorf("Scan found %+v", got)
	}
}

// outcome asserts that what Put answered is so, once no Put is under way.
func (f *fixture) outcome(r revocation.Record, answer error) {
	f.t.Helper()
	got, err := f.store.Get(r.Key)
	stored := err == nil && got == r
	switch {
	case err != nil && !errors.Is(err, revocation.ErrNotFound):
		f.t.Errorf("Get(%s): %v", r.Key, err)
	case answer == nil && !stored:
		f.t.Errorf("Put(%s) = nil, and yet Get = %+v, %v", r.Key, got, err)
	case errors.Is(answer, revocation.ErrNotStored) && stored:
		f.t.Errorf("Put(%s) = %q, and yet it was stored", r.Key, answer)
	}
}

func cancelledPut(t *testing.T, f *fixture) {
	for i, lazy := range []bool{false, true} {
		r := record(i, 60)
		answer := f.store.Put(cancelled(t.Context()), revocation.Batch{Records: []revocation.Record{r}, Lazy: lazy})
		if answer != nil && !errors.Is(answer, context.Canceled) {
			t.Errorf("Put = %v, want context.Canceled", answer)
		}
		f.reopen()
		f.outcome(r, answer)
	}
}

func cancelledPuts(t *testing.T, f *fixture) {
	list := records(1000, 60)
	answers := make([]error, len(list))
	var wg sync.WaitGroup
	for i := range list {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { answers[i] = f.store.Put(ctx, revocation.Batch{Records: list[i : i+1], Lazy: i%2 == 0}) })
		wg.Go(cancel)
	}
	wg.Wait()
	f.reopen()
	for i, answer := range answers {
		f.outcome(list[i], answer)
	}
}

func cursor(t *testing.T, f *fixture) {
	f.wantsCursor(nil)
	for _, batch := range []revocation.Batch{
		{Cursor: []byte("one")},
		{Cursor: []byte{}, Records: records(1, 60)},
		{Cursor: bytes.Repeat([]byte{0xff}, 1024), Records: records(1, 60)},
	} {
		if err := f.store.Put(t.Context(), batch); err != nil {
			t.Fatalf("Put: %v", err)
		}
		f.wantsCursor(batch.Cursor)
		f.put(record(2, 60)) // has none, and so changes none
		f.wantsCursor(batch.Cursor)
		f.reopen()
		f.wantsCursor(batch.Cursor)
	}
}

// cursorWithRecords asserts that whoever sees a cursor sees its records too.
func cursorWithRecords(t *testing.T, f *fixture, lazy bool) {
	const n = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			batch := revocation.Batch{
				Records: []revocation.Record{record(i, 60)},
				Cursor:  binary.BigEndian.AppendUint64(nil, uint64(i)),
				Lazy:    lazy,
			}
			if err := f.store.Put(t.Context(), batch); err != nil {
				t.Errorf("Put: %v", err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		position, err := f.store.Cursor()
		if err != nil {
			t.Fatalf("Cursor: %v", err)
		}
		if position != nil {
			f.wants(record(int(binary.BigEndian.Uint64(position)), 60))
		}
	}
	f.reopen()
	if position, err := f.store.Cursor(); err != nil || binary.BigEndian.Uint64(position) != n-1 {
		t.Errorf("Cursor = %x, %v; want %d", position, err, n-1)
	}
	f.wants(records(n, 60)...)
}

func notFound(_ *testing.T, f *fixture) {
	f.lacks(key(1))
	f.put(record(1, 60))
	f.lacks(key(2))
	other := key(1)
	other.Kind++
	f.lacks(other)
}
