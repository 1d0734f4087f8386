package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func sorted(list []revocation.Record) []revocation.Record {
	return slices.SortedFunc(slices.Values(list), func(a, b revocation.Record) int { return a.Key.Compare(b.Key) })
}

func scanInOrder(t *testing.T, f *fixture) {
	list := records(500, 60)
	for i := range list {
		list[i].Key.Kind = revocation.Kind(1 + i%3)
	}
	f.put(list...)
	if got := f.all(); !slices.Equal(got, sorted(list)) {
		t.Errorf("Scan found %d records of %d, or in another order", len(got), len(list))
	}
}

func scanFrom(t *testing.T, f *fixture) {
	list := sorted(records(100, 60))
	f.put(list...)
	above := list[49].Key
	above.Digest[31]++
	beyond := list[99].Key
	beyond.Kind++
	for _, test := range []struct {
		name string
		from revocation.Key
		want []revocation.Record
	}{
		{"the zero key", revocation.Key{}, list},
		{"a key that is there", list[50].Key, list[50:]},
		{"a key that is not there", above, list[50:]},
		{"beyond the last", beyond, nil},
	} {
		var got []revocation.Record
		err := f.store.Scan(t.Context(), test.from, func(r revocation.Record) error {
			got = append(got, r)
			return nil
		})
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("from %s: %d records, %v; want %d", test.name, len(got), err, len(test.want))
		}
	}
}

func scanEnds(t *testing.T, f *fixture) {
	f.put(records(100, 60)...)
	stop := errors.New("stop")
	n := 0
	err := f.store.Scan(t.Context(), revocation.Key{}, func(revocation.Record) error {
		if n++; n == 10 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 10 {
		t.Errorf("an error of f: %d calls, %v", n, err)
	}
	err = f.store.Scan(cancelled(t.Context()), revocation.Key{}, func(revocation.Record) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func scanBesidePuts(t *testing.T, f *fixture) {
	const there = 2000
	before := records(there, 60)
	f.put(before...)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default: // a new record, and one that is extended
				batch := revocation.Batch{Records: []revocation.Record{record(there+i, 60), record(i%there, 61)}}
				if err := f.store.Put(t.Context(), batch); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		}
	}()
	defer func() { close(stop); <-done }()
	for range 20 {
		found := f.all()
		if !slices.IsSortedFunc(found, func(a, b revocation.Record) int { return a.Key.Compare(b.Key) }) {
			t.Error("Scan lost the order")
		}
		keys := make(map[revocation.Key]int)
		for _, r := range found {
			keys[r.Key]++
		}
		for _, r := range before {
			if keys[r.Key] != 1 {
				t.Fatalf("Scan found %s %d times", r.Key, keys[r.Key])
			}
		}
	}
}
