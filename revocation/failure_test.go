package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

var errDisk = errors.New("the disk has gone")

// With the file failing, what is not revoked passes and what is does not.
func TestStoreCannotRead(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour), record(2, time.Hour))
	f.wants(revocation.Revoked, key(2))
	if !f.Cached(key(2)) {
		t.Fatal("the record is not cached")
	}
	f.reopen() // with an empty cache
	f.wants(revocation.Revoked, key(2))
	f.Cached(key(2))
	fail(&f.store.getError, errDisk)
	suspect := key(1)
	if got := f.Check(&suspect); got.Outcome != revocation.Unknown || !errors.Is(got.Err, errDisk) || got.Record != nil {
		t.Errorf("Check of a revoked key = %+v; want Unknown and why", got)
	}
	f.wants(revocation.Revoked, key(2)) // from the cache
	f.wants(revocation.Clear, key(3))
	mend(&f.store.getError)
	f.wants(revocation.Revoked, key(1), key(2))
}

// What is surely not stored changes nothing.
func TestNotStored(t *testing.T) {
	f := newFixture(t)
	fail(&f.store.putError, fmt.Errorf("%w: %w", revocation.ErrNotStored, errDisk))
	if err := f.Revoke(t.Context(), record(1, time.Hour)); !errors.Is(err, revocation.ErrNotStored) || !errors.Is(err, errDisk) {
		t.Errorf("Revoke = %v, want ErrNotStored and why", err)
	}
	if n := f.Stats().Total(); n != 0 {
		t.Errorf("%d records are in the index", n)
	}
	f.wants(revocation.Clear, key(1))
	mend(&f.store.putError)
	f.revoke(record(1, time.Hour))
	f.wants(revocation.Revoked, key(1))
}

// What may be stored is refused if it is, and only then.
func TestUnknownOutcome(t *testing.T) {
	f := newFixture(t)
	fail(&f.store.putError, errDisk)
	for i, stored := range []bool{false, true} {
		f.store.putAnyway.Store(stored)
		err := f.Revoke(t.Context(), record(i, time.Hour))
		if !errors.Is(err, errDisk) || errors.Is(err, revocation.ErrNotStored) {
			t.Errorf("Revoke = %v; want the error of the store and no promise", err)
		}
	}
	f.wants(revocation.Clear, key(0))
	f.wants(revocation.Revoked, key(1))
	fail(&f.store.getError, errDisk)
	f.wants(revocation.Unknown, key(0)) // nobody knows now, and so neither passes
	mend(&f.store.getError)
	f.reopen()
	f.wants(revocation.Clear, key(0))
	f.wants(revocation.Revoked, key(1))
}

// What was given up may be stored later. It is enforced when it is asked for again,
// or a minute later.
func TestStoredLate(t *testing.T) {
	f := newFixture(t)
	for i, settle := range []func(){
		f.SweepIndex,
		func() {
			if r, err := f.Enforce(t.Context(), key(1), operator); err != nil || r.Effect != revocation.Refuse {
				t.Errorf("Enforce = %+v, %v", r, err)
			}
		},
	} {
		f.revoke(record(i, time.Hour))
		f.restore(key(i))
		fail(&f.store.putError, errDisk)
		if err := f.Revoke(t.Context(), record(i, time.Hour)); !errors.Is(err, errDisk) {
			t.Errorf("Revoke = %v", err)
		}
		mend(&f.store.putError)
		f.wants(revocation.Clear, key(i))
		f.Cached(key(i))
		late := record(i, time.Hour)
		late.Version = 2
		if err := f.store.Put(t.Context(), revocation.Batch{Records: []revocation.Record{late}}); err != nil {
			t.Fatal(err)
		}
		settle()
		f.wants(revocation.Revoked, key(i))
	}
}

func TestRevokeWithoutTime(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	switch err := f.Revoke(ctx, record(1, time.Hour)); {
	case err == nil:
		f.wants(revocation.Revoked, key(1))
	case errors.Is(err, revocation.ErrNotStored):
		f.wants(revocation.Clear, key(1))
	case !errors.Is(err, context.Canceled):
		t.Errorf("Revoke = %v", err)
	}
}
