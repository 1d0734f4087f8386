package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// published is a cluster that takes everything, and lets the fixture receive it.
func (f *fixture) published(ctx context.Context, records []revocation.Record) error {
	return f.Receive(ctx, records, nil)
}

// What is decided on here is published, once, and stored once; what is received, or
// loaded, is not published.
func TestJoin(t *testing.T) {
	synctest.Test(t, join) // where a slow disk does not make it late
}

func join(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	var published []revocation.Record
	leave := f.Join(func(ctx context.Context, records []revocation.Record) error {
		published = append(published, records...)
		return f.published(ctx, records)
	})
	before := f.store.puts.Load()
	f.revoke(record(2, time.Hour), record(3, -time.Hour))
	if err := f.Receive(t.Context(), []revocation.Record{record(4, time.Hour)}, []byte("cursor")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Restore(t.Context(), key(2), revocation.Decision{By: "operator"}); err != nil {
		t.Fatal(err)
	}
	f.revoke(record(2, time.Hour))
	if n := f.store.puts.Load() - before; n != 4 {
		t.Errorf("%d times something was stored; want once each", n)
	}
	var keys []revocation.Key
	var versions []uint64
	for _, r := range published {
		keys, versions = append(keys, r.Key), append(versions, r.Version)
	}
	if !slices.Equal(keys, []revocation.Key{key(2), key(2), key(2)}) || !slices.IsSorted(versions) || versions[0] == versions[2] {
		t.Errorf("published: %+v", published)
	}
	stored, err := f.store.Get(key(2))
	if err != nil || stored != published[2] {
		t.Errorf("stored %+v, %v; published %+v", stored, err, published[2])
	}
	leave()
	leave()
	f.revoke(record(5, time.Hour))
	if len(published) != 3 {
		t.Error("there is publishing after leaving")
	}
}

var errCut = errors.New("cut off")

// What cannot be published is no success, and enforced and durable all the same,
// also when the time of the caller is up.
func TestAway(t *testing.T) {
	f := newFixture(t)
	f.Join(func(ctx context.Context, _ []revocation.Record) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return errCut
	})
	if err := f.Revoke(t.Context(), record(1, time.Hour)); !errors.Is(err, revocation.ErrAway) || !errors.Is(err, errCut) {
		t.Errorf("Revoke = %v; want ErrAway and why", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Revoke(ended, record(2, time.Hour)); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("Revoke = %v; want ErrAway", err)
	}
	f.wants(revocation.Revoked, key(1), key(2))
	f.reopen()
	f.wants(revocation.Revoked, key(1), key(2))
}

// What the cluster may lack is never behind a cursor: it becomes void in the same
// commit, and none is kept that comes in while that is unclear.
func TestAwayWithoutCursor(t *testing.T) {
	f := newFixture(t)
	keep := func() {
		if err := f.Receive(t.Context(), nil, []byte("cursor")); err != nil {
			t.Error(err)
		}
	}
	keep()
	publish := func() error { return errCut }
	f.Join(func(context.Context, []revocation.Record) error { return publish() })
	revoke := func(i int) {
		t.Helper()
		if err := f.Revoke(t.Context(), record(i, time.Hour)); !errors.Is(err, revocation.ErrAway) {
			t.Errorf("Revoke = %v; want ErrAway", err)
		}
		if cursor, err := f.Cursor(); err != nil || cursor != nil {
			t.Errorf("with something that the cluster lacks, Cursor = %q, %v", cursor, err)
		}
	}
	before := f.store.puts.Load()
	revoke(1)
	if n := f.store.puts.Load() - before; n != 1 {
		t.Errorf("it took %d commits", n)
	}
	publish = func() error {
		for one := key(2); f.Check(&one).Outcome != revocation.Revoked; {
			time.Sleep(time.Millisecond)
		}
		keep()
		if cursor, err := f.Cursor(); err != nil || cursor != nil {
			t.Errorf("with something that the cluster may lack, Cursor = %q, %v", cursor, err)
		}
		return errCut
	}
	revoke(2)
	keep()
	if cursor, err := f.Cursor(); err != nil || cursor == nil {
		t.Errorf("later, Cursor = %q, %v", cursor, err)
	}
}

// What takes long to be published is enforced meanwhile, and durable, and no success
// before the cluster has it. What restores waits for that.
func TestPublishedLate(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(2, time.Hour))
	late := make(chan struct{})
	f.Join(func(ctx context.Context, records []revocation.Record) error {
		<-late
		return f.published(ctx, records)
	})
	revoked, restored := make(chan error, 1), make(chan error, 1)
	go func() { revoked <- f.Revoke(t.Context(), record(1, time.Hour)) }()
	go func() {
		_, err := f.Restore(t.Context(), key(2), operator)
		restored <- err
	}()
	for first := key(1); f.Check(&first).Outcome != revocation.Revoked; {
		time.Sleep(time.Millisecond)
	}
	if r, err := f.store.Get(key(1)); err != nil || r != record(1, time.Hour) {
		t.Errorf("stored %+v, %v", r, err)
	}
	f.wants(revocation.Revoked, key(2))
	select {
	case err := <-revoked:
		t.Errorf("Revoke = %v before the cluster has it", err)
	case err := <-restored:
		t.Errorf("Restore = %v before the cluster has it", err)
	default:
	}
	close(late)
	if err := errors.Join(<-revoked, <-restored); err != nil {
		t.Error(err)
	}
	f.wants(revocation.Revoked, key(1))
	f.wants(revocation.Clear, key(2))
}

// What can be neither published nor stored fails for the reason of the store.
func TestNeitherPublishedNorStored(t *testing.T) {
	f := newFixture(t)
	f.Join(func(context.Context, []revocation.Record) error { return errCut })
	fail(&f.store.putError, fmt.Errorf("%w: %w", revocation.ErrNotStored, errDisk))
	if err := f.Revoke(t.Context(), record(1, time.Hour)); !errors.Is(err, errDisk) || errors.Is(err, revocation.ErrAway) {
		t.Errorf("Revoke = %v; want the store's error", err)
	}
	f.wants(revocation.Clear, key(1))
}

// Of two clusters both must have what is promised.
func TestTwoClusters(t *testing.T) {
	f := newFixture(t)
	var first, second error
	published := func(err *error) revocation.Publish {
		return func(ctx context.Context, records []revocation.Record) error {
			return errors.Join(f.published(ctx, records), *err)
		}
	}
	f.Join(published(&first))
	leave := f.Join(published(&second))
	f.revoke(record(1, time.Hour))
	for _, err := range []*error{&first, &second} {
		*err = errCut
		if err := f.Revoke(t.Context(), record(2, time.Hour)); !errors.Is(err, revocation.ErrAway) {
			t.Errorf("Revoke = %v; want ErrAway", err)
		}
		*err = nil
	}
	second = errCut
	leave()
	f.revoke(record(3, time.Hour))
}

// What is not known to be restored in the cluster does not pass here, now or later.
func TestRestoreAway(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	f.Join(func(context.Context, []revocation.Record) error {
		f.wants(revocation.Revoked, key(1))
		return errCut
	})
	if _, err := f.Restore(t.Context(), key(1), operator); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("Restore = %v; want ErrAway", err)
	}
	f.wants(revocation.Revoked, key(1))
	f.reopen()
	f.wants(revocation.Revoked, key(1))
}

// Another node has restored what is being revoked, or revoked for longer what is
// being restored, and this one hears of it with the answer.
func TestOutweighed(t *testing.T) {
	f := newFixture(t)
	restored := record(1, time.Hour)
	restored.Effect, restored.Version = revocation.Restored, 1
	heard := []revocation.Record{restored, record(2, 2*time.Hour)}
	var published []revocation.Record
	f.revoke(record(2, time.Hour))
	f.Join(func(ctx context.Context, records []revocation.Record) error {
		published = append(published, records...)
		return f.Receive(ctx, append(slices.Clone(heard), records...), nil)
	})
	f.revoke(record(1, time.Hour))
	f.wants(revocation.Revoked, key(1))
	if len(published) != 2 || published[1].Version != 2 {
		t.Errorf("published: %+v; want version 2 in the end", published)
	}
	published = nil
	r, err := f.Restore(t.Context(), key(2), operator)
	if err != nil || r.Effect != revocation.Restored {
		t.Fatalf("Restore = %+v, %v", r, err)
	}
	if want := t0.Add(2 * time.Hour); !published[len(published)-1].Expires.Equal(want) {
		t.Errorf("published: %+v; want it until %s in the end", published, want)
	}
	f.wants(revocation.Clear, key(2))
}

// What is decided on in no cluster makes the cursor void, as no cluster has it.
func TestDecidedAlone(t *testing.T) {
	synctest.Test(t, decidedAlone) // where a slow disk does not make it late
}

func decidedAlone(t *testing.T) {
	f := newFixture(t)
	wants := func(want string) {
		t.Helper()
		if cursor, err := f.Cursor(); err != nil || string(cursor) != want || want == "" && cursor != nil {
			t.Errorf("Cursor = %q, %v; want %q", cursor, err, want)
		}
	}
	leave := f.Join(f.published)
	if err := f.Receive(t.Context(), nil, []byte("c")); err != nil {
		t.Fatal(err)
	}
	f.revoke(record(1, time.Hour))
	wants("c")
	leave()
	wants("c")
	f.revoke(record(2, time.Hour))
	wants("")
	f.reopen()
	wants("")
}

// A restoration that has ended is remembered for an hour: a node whose clock is
// behind may still go by it. Then it counts nowhere, swept or not.
func TestEndedIsRemembered(t *testing.T) {
	for after, version := range map[time.Duration]uint64{time.Hour: 2, 3 * time.Hour: 0} {
		f := newFixture(t)
		f.Join(f.published)
		restored := record(1, time.Minute)
		restored.Effect, restored.Version = revocation.Restored, 1
		f.clock.move(time.Minute + leeway)
		if err := f.Receive(t.Context(), []revocation.Record{restored}, nil); err != nil {
			t.Fatal(err)
		}
		f.clock.move(after - time.Minute)
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.revoke(record(1, 5*time.Hour))
		f.wants(revocation.Revoked, key(1))
		if r, err := f.Get(key(1)); err != nil || r.Version != version {
			t.Errorf("after %s: %+v, %v; want version %d", after, r, err, version)
		}
	}
}

// What is forgotten does not outweigh what comes, though no sweep has come by.
func TestForgottenIsAbsent(t *testing.T) {
	f := newFixture(t)
	f.Join(f.published)
	restored := record(1, time.Minute)
	restored.Effect, restored.Version = revocation.Restored, 1
	if err := f.Receive(t.Context(), []revocation.Record{restored}, nil); err != nil {
		t.Fatal(err)
	}
	f.clock.move(3 * time.Hour)
	if err := f.Receive(t.Context(), []revocation.Record{record(1, 5*time.Hour)}, nil); err != nil {
		t.Fatal(err)
	}
	f.wants(revocation.Revoked, key(1))
}

func TestReceive(t *testing.T) {
	f := newFixture(t)
	if cursor, err := f.Cursor(); err != nil || cursor != nil {
		t.Errorf("Cursor = %q, %v; want none", cursor, err)
	}
	restored := record(3, time.Hour)
	restored.Effect, restored.Version = revocation.Restored, 1
	receive := func(cursor string, records ...revocation.Record) {
		t.Helper()
		var c []byte
		if cursor != "" {
			c = []byte(cursor)
		}
		if err := f.Receive(t.Context(), records, c); err != nil {
			t.Fatalf("Receive: %v", err)
		}
	}
	f.revoke(record(3, time.Hour))
	f.wants(revocation.Revoked, key(3)) // and so perhaps cached
	receive("one", record(1, time.Hour), record(2, -leeway), restored)
	receive("", record(1, time.Minute), record(3, time.Hour)) // late, and lesser
	for range 2 {
		f.wants(revocation.Revoked, key(1))
		f.wants(revocation.Clear, key(2), key(3))
		if cursor, err := f.Cursor(); err != nil || string(cursor) != "one" {
			t.Errorf("Cursor = %q, %v; want one", cursor, err)
		}
		f.reopen()
	}
	f.clock.move(30 * time.Minute)
	f.wants(revocation.Revoked, key(1))
}

// With a record that is not understood nothing is received, and above all no
// cursor that says that it was.
func TestReceiveForeign(t *testing.T) {
	f := newFixture(t)
	newer := record(2, time.Hour)
	newer.Key.Kind = 200
	if err := f.Receive(t.Context(), []revocation.Record{record(1, time.Hour), newer}, []byte("c")); !errors.Is(err, revocation.ErrInvalid) {
		t.Errorf("Receive = %v; want ErrInvalid", err)
	}
	fail(&f.store.putError, fmt.Errorf("%w: %w", revocation.ErrNotStored, errDisk))
	if err := f.Receive(t.Context(), []revocation.Record{record(1, time.Hour)}, []byte("c")); !errors.Is(err, errDisk) {
		t.Errorf("Receive = %v; want the store's error", err)
	}
	f.wants(revocation.Clear, key(1), key(2))
	if cursor, err := f.Cursor(); err != nil || cursor != nil {
		t.Errorf("Cursor = %q, %v; want none", cursor, err)
	}
	mend(&f.store.putError)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Receive(t.Context(), nil, nil); !errors.Is(err, revocation.ErrClosed) {
		t.Errorf("Receive after Close = %v", err)
	}
	if _, err := f.Cursor(); !errors.Is(err, revocation.ErrClosed) {
		t.Errorf("Cursor after Close = %v", err)
	}
}
