package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func drop(t *testing.T, f *fixture) {
	const n = 1200
	for i := range n {
		if i%100 == 0 {
			list := make([]revocation.Record, 100)
			for j := range list {
				list[j] = record(i+j, i+j)
			}
			f.put(list...)
		}
	}
	for _, test := range []struct {
		before time.Time
		want   int
	}{
		{t0, 0},
		{t0.Add(time.Nanosecond), 1}, // record 0 ends at t0
		{t0.Add(time.Second), 0},     // record 1 ends at that time, not before it
		{t0.Add(1000 * time.Second), 999},
		{t0.Add(1000 * time.Second), 0},
	} {
		if got, err := f.store.Drop(t.Context(), test.before); err != nil || got != test.want {
			t.Fatalf("Drop(%s) = %d, %v; want %d", test.before, got, err, test.want)
		}
	}
	f.reopen()
	f.lacks(key(0))
	f.lacks(key(999))
	f.wants(record(1000, 1000), record(n-1, n-1))
	if got := len(f.all()); got != n-1000 {
		t.Errorf("%d records are left, want %d", got, n-1000)
	}
}

// dropBesidePut races a Drop against a Put that extends what it would drop:
// the record must be there afterwards, whichever came first.
func dropBesidePut(t *testing.T, f *fixture) {
	for i := range 100 {
		f.put(record(i, 0))
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := f.store.Drop(t.Context(), t0.Add(time.Second)); err != nil {
				t.Errorf("Drop: %v", err)
			}
		})
		wg.Go(func() {
			if err := f.store.Put(t.Context(), revocation.Batch{Records: []revocation.Record{record(i, 60)}, Lazy: i%2 == 0}); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
		wg.Wait()
		f.wants(record(i, 60))
	}
}

func cancelledDrop(t *testing.T, f *fixture) {
	f.put(record(1, 0))
	if _, err := f.store.Drop(cancelled(t.Context()), t0.Add(time.Second)); !errors.Is(err, context.Canceled) {
		t.Errorf("Drop = %v, want context.Canceled", err)
	}
}
