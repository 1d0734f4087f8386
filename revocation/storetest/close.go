package storetest

import (
	"errors"
	"sync"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func closed(t *testing.T, f *fixture) {
	if err := f.store.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for name, call := range map[string]func() error{
		"Put": func() error { return f.store.Put(t.Context(), revocation.Batch{Records: records(1, 60)}) },
		"Put, lazily": func() error {
			return f.store.Put(t.Context(), revocation.Batch{Records: records(1, 60), Lazy: true})
		},
		"Get": func() error { _, err := f.store.Get(key(1)); return err },
		"Scan": func() error {
			return f.store.Scan(t.Context(), revocation.Key{}, func(revocation.Record) error { return nil })
		},
		"Drop":   func() error { _, err := f.store.Drop(t.Context(), t0); return err },
		"Cursor": func() error { _, err := f.store.Cursor(); return err },
	} {
		if err := call(); !errors.Is(err, revocation.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
	if err := f.store.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

// closeBesidePuts asserts that Close neither loses what a Put has answered for,
// nor leaves a Put without an answer.
func closeBesidePuts(t *testing.T, f *fixture) {
	list := records(callers*4, 60)
	answers := make([]error, len(list))
	store := f.store // f has another once it was reopened
	var wg, started sync.WaitGroup
	for i := range list {
		started.Add(1)
		wg.Go(func() {
			started.Done()
			answers[i] = store.Put(t.Context(), revocation.Batch{Records: list[i : i+1], Lazy: i%2 == 0})
		})
	}
	started.Wait()
	f.reopen()
	wg.Wait()
	for i, answer := range answers {
		if answer != nil && !errors.Is(answer, revocation.ErrClosed) {
			t.Errorf("Put = %v, want nil or ErrClosed", answer)
		}
		f.outcome(list[i], answer)
	}
}
