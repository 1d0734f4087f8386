package boltstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// inPlace counts the records that stand in place.
func inPlace(t testing.TB, s *Store) (n int) {
	t.Helper()
	err := s.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(recordsBucket).ForEach(func(_, _ []byte) error { n++; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Where the journal is full, and nothing can be moved, what comes goes in place.
func TestFullJournal(t *testing.T) {
	path := newPath(t)
	full := unmoved
	full.recent = 16
	s := mustOpenWith(t, path, full)
	list := records(100)
	for i, r := range list {
		if i%2 == 0 {
			mustPut(t, s, r)
			continue
		}
		mustPutLazily(t, s, []byte(strconv.Itoa(i)), r)
		if i > 16 && s.hasLate() {
			t.Fatalf("record %d is late, though the journal is full", i)
		}
	}
	if n := s.recent.len(); n != 16 {
		t.Errorf("%d records are in memory, want 16", n)
	}
	if n := inPlace(t, s); n != 84 {
		t.Errorf("%d records are in place, want 84", n)
	}
	for i := range list { // what the journal has stays its own
		if i%3 == 0 {
			list[i].Expires = list[i].Expires.Add(time.Hour)
			mustPut(t, s, list[i])
		}
	}
	ended := list[5].Expires.Add(time.Second)
	if n, err := s.Drop(t.Context(), ended); err != nil || n != 66 {
		t.Errorf("Drop = %d, %v; want 66", n, err)
	}
	list = slices.DeleteFunc(list, func(r revocation.Record) bool { return r.Expires.Before(ended) })
	for _, limits := range []limits{full, manyLimits["tiny limits"], full} {
		wants(t, s, list...)
		wantsCursor(t, s, []byte("99"))
		if found := len(all(t, s)); found != len(list) {
			t.Errorf("Scan finds %d records, want %d", found, len(list))
		}
		mustClose(t, s)
		s = mustOpenWith(t, path, limits)
	}
}

func all(t testing.TB, s *Store) (found []revocation.Record) {
	t.Helper()
	err := s.Scan(t.Context(), revocation.Key{}, func(r revocation.Record) error { found = append(found, r); return nil })
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return found
}

// What comes again and again takes no more room than once.
func TestFileStaysSmall(t *testing.T) {
	s := mustOpenWith(t, newPath(t), manyLimits["medium limits"])
	size := func() (size int64) {
		_ = s.view(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
		return size
	}
	r := record(1)
	extend := func(times int) {
		for range times {
			r.Expires = r.Expires.Add(time.Second)
			mustPutLazily(t, s, []byte("cursor"), r)
		}
	}
	extend(3000)
	before := size()
	extend(30_000)
	if after := size(); after > 2*before {
		t.Errorf("the file grew from %d to %d bytes", before, after)
	}
	wants(t, s, r)
}

// After a burst, memory holds no more than what is not worth moving.
func TestBurstIsMoved(t *testing.T) {
	limits := manyLimits["medium limits"]
	s := mustOpenWith(t, newPath(t), limits)
	list := records(50 * limits.batch)
	for batch := range slices.Chunk(list, limits.batch) {
		mustPutLazily(t, s, nil, batch...)
	}
	until(func() bool {
		s.writing.Lock() // or it could be between one move and the next
		defer s.writing.Unlock()
		return !s.journal.isLate() && !s.recent.isMoving()
	})
	if n := s.recent.len(); n >= limits.grown {
		t.Errorf("%d records are still in memory", n)
	}
	if n := inPlace(t, s) + s.recent.len(); n != len(list) {
		t.Errorf("there are %d records, want %d", n, len(list))
	}
	if s.recent.moving != nil || s.recent.sorted != nil {
		t.Error("what was moved is still held")
	}
	wants(t, s, list...)
}

// A Put waits for the step that is under way and not for all that is to be moved.
func TestPutBesideMove(t *testing.T) {
	path := newPath(t)
	s := mustOpenWith(t, path, unmoved)
	mustPut(t, s, records(5000)...)
	mustClose(t, s)
	s = mustOpenWith(t, path, limits{batch: 10, late: 10, recent: 1 << 20, grown: 1, worth: 1, least: 1, most: 1})
	until(func() bool { return inPlace(t, s) > 0 })
	for i := range 100 {
		s.writing.Lock() // no step is taken between the look and the Put, or until this test goes on
		before, err := s.transaction()
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		p := queue(takenContext{t.Context(), func() { taken, _ = s.transaction() }}, t, s, record(5000+i))
		s.writing.Unlock()
		if err := <-p.result; err != nil {
			t.Fatalf("Put: %v", err)
		}
		if n := taken - before; n > 3 {
			t.Errorf("a Put waited for %d steps", n)
		}
	}
	if !s.recent.isMoving() {
		t.Error("nothing was moved meanwhile")
	}
	wants(t, s, records(5100)...)
}

// takenContext tells when the committer takes a put.
type takenContext struct {
	context.Context
	taken func()
}

func (c takenContext) Err() error {
	c.taken()
	return nil
}

// What is late has to be in the file before it is moved: else a crash in the middle
// would take some of it and leave what came after.
func TestLateIsNotMoved(t *testing.T) {
	s, err := openIdle(t.Context(), newPath(t), DefaultLockTimeout, limits{batch: 100, late: 100, recent: 100, grown: 4, worth: 1, least: 1, most: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer abandon(t, s)
	if done, err := s.putLate(t.Context(), revocation.Batch{Records: records(10)}); !done || err != nil {
		t.Fatalf("putLate = %t, %v", done, err)
	}
	s.mover.begin()
	if s.recent.isMoving() {
		t.Error("what is late would be moved")
	}
	if err := s.writeLate(); err != nil || !s.recent.isMoving() {
		t.Errorf("writeLate = %v, and is it moved: %t", err, s.recent.isMoving())
	}
}

// Nor does a cursor become durable before its records, though what is moved has one too.
func TestLateCursorIsNotMoved(t *testing.T) {
	path := newPath(t)
	s, err := openIdle(t.Context(), path, DefaultLockTimeout, limits{batch: 100, late: 100, recent: 100, grown: 1, worth: 1, least: 100, most: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := commitOne(s, revocation.Batch{Records: records(1), Cursor: []byte("one")}); err != nil {
		t.Fatal(err)
	}
	if done, err := s.putLate(t.Context(), revocation.Batch{Records: records(2), Cursor: []byte("two")}); !done || err != nil {
		t.Fatalf("putLate = %t, %v", done, err)
	}
	<-s.mover.next
	s.mover.step()
	if s.recent.isMoving() {
		t.Fatal("not all was moved")
	}
	wantsCursor(t, s, []byte("two"))
	abandon(t, s)
	after := mustOpen(t, path)
	wants(t, after, records(1)...)
	wantsCursor(t, after, []byte("one"))
}

// A frame that had to be in a bucket does not stay there.
func TestFramesAreRemoved(t *testing.T) {
	s, err := openIdle(t.Context(), newPath(t), DefaultLockTimeout, limits{batch: 1, recent: 100, grown: 2, worth: 2, least: 100, most: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer abandon(t, s)
	frames := func() (n int) {
		_ = s.view(func(tx *bbolt.Tx) error {
			if b := tx.Bucket(framesBucket); b != nil {
				n = b.Stats().KeyN
			}
			return nil
		})
		return n
	}
	for i := range 6 {
		if err := commitOne(s, revocation.Batch{Records: records(3 * (i + 1)), Cursor: []byte{byte(i)}}); err != nil {
			t.Fatal(err)
		}
		if frames() == 0 {
			t.Fatal("the cursor is not in a transaction with its records")
		}
	}
	for s.recent.isMoving() { // in a while what came meanwhile, too
		<-s.mover.next
		s.mover.step()
	}
	if n := frames(); n > 1 {
		t.Errorf("there are still %d frames", n)
	}
}

// If nobody knows whether it was moved, it stays known.
func TestMoveWithUnknownOutcome(t *testing.T) {
	path := newPath(t)
	s := mustOpenWith(t, path, unmoved)
	list := records(100)
	mustPut(t, s, list...)
	s.writing.Lock()
	s.turn() // with a mover that does not know of it
	s.writing.Unlock()
	err := s.write(func(tx *bbolt.Tx) (bool, error) {
		tx.OnCommit(func() { panic("after the commit") })
		return true, nil
	}, func() { s.mover.done(len(list), false) })
	if err == nil || errors.Is(err, revocation.ErrNotStored) {
		t.Fatalf("write = %v; want an error that promises nothing", err)
	}
	wants(t, s, list...)
	if found := len(all(t, s)); found != len(list) {
		t.Errorf("Scan finds %d records, want %d", found, len(list))
	}
	mustClose(t, s)
	wants(t, mustOpen(t, path), list...)
}

// While it is being sorted, what is to be moved is found as before and after.
func TestRecentWhileItIsSorted(t *testing.T) {
	r := newRecent()
	var list []entry
	for i := range 100 {
		list = append(list, entry{record(i).Key, strconv.Itoa(i)})
	}
	r.keep(list[:70], nil)
	r.turn()
	for i := 40; i < 100; i++ {
		list[i].value += " again"
	}
	r.keep(list[40:], nil)
	sort(list)
	check := func(when string, want []entry) {
		t.Helper()
		for i := range want {
			if got := r.from(want[i].key); !slices.Equal(got, want[i:]) {
				t.Errorf("%s: from entry %d there are %d, want %d", when, i, len(got), len(want)-i)
			}
		}
	}
	check("before", list)
	r.sort()
	check("after", list)
	r.moved()
	check("moved", slices.DeleteFunc(list, func(e entry) bool { return len(e.value) < 3 }))
}

// What is being moved can be dropped, and put again.
func TestDropOfWhatIsMoved(t *testing.T) {
	path := newPath(t)
	s := mustOpenWith(t, path, unmoved)
	list := records(2000)
	mustPut(t, s, list...)
	mustClose(t, s)
	slow := limits{batch: 1 << 20, late: 1 << 20, recent: 1 << 20, grown: 1, worth: 1, least: 1, most: 1}
	s = mustOpenWith(t, path, slow)
	until(func() bool { return inPlace(t, s) > 0 })
	if n, err := s.Drop(t.Context(), t0.Add(24*time.Hour)); err != nil || n != len(list) {
		t.Fatalf("Drop = %d, %v; want %d", n, err, len(list))
	}
	if !s.recent.isMoving() {
		t.Fatal("nothing was being moved")
	}
	mustPut(t, s, list[:500]...)
	for _, path := range []string{copyOpen(t, s), s.path} {
		mustClose(t, s)
		fast := slow
		fast.least, fast.most = 1000, 1000
		s = mustOpenWith(t, path, fast)
		until(func() bool { return inPlace(t, s) == 500 })
		wants(t, s, list[:500]...)
		if _, err := s.Get(list[500].Key); !errors.Is(err, revocation.ErrNotFound) {
			t.Errorf("Get of what was dropped = %v", err)
		}
	}
}
