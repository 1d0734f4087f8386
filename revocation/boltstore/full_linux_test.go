package boltstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// With a full disk a Put is refused and what was stored stays known; with room
// again, a retry succeeds.
func TestDiskFull(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	path := filepath.Join(dir, "denylist.db")
	s := mustOpen(t, path)
	stored := records(100)
	mustPut(t, s, stored...)

	empty := fill(t, dir)
	var refused []revocation.Record
	for i := 100; refused == nil; i += 100 { // until no page is free inside the file either
		batch := records(i + 100)[i:]
		if err := tryPut(s, batch...); err != nil {
			notStored(t, err)
			refused = batch
		} else {
			stored = append(stored, batch...)
		}
	}
	notStored(t, tryPut(s, refused...))
	wants(t, s, stored...)
	for _, r := range refused {
		if _, err := s.Get(r.Key); !errors.Is(err, revocation.ErrNotFound) {
			t.Fatalf("Get of what was refused = %v, want ErrNotFound", err)
		}
	}

	empty()
	mustPut(t, s, refused...)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wants(t, mustOpen(t, path), append(stored, refused...)...)
}

// What cannot be moved stays known, and is moved when there is room.
func TestMoveOnFullDisk(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	path := filepath.Join(dir, "denylist.db")
	stored := records(4000)
	s := mustOpenWith(t, path, unmoved)
	mustPut(t, s, stored...)
	mustClose(t, s)
	empty := fill(t, dir)
	s = mustOpenWith(t, path, limits{batch: 1 << 10, late: 1 << 10, recent: 1 << 20, room: 1 << 20, rooms: 1 << 20, grown: 1, worth: 1, least: 1, most: 1 << 12})
	until(func() bool { return s.hasFailed() || !s.recent.isMoving() })
	if !s.recent.isMoving() {
		t.Fatal("all was moved on a full disk")
	}
	wants(t, s, stored...)
	wants(t, mustOpen(t, copyOpen(t, s)), stored...)

	empty()
	until(func() bool { return !s.recent.isMoving() })
	wants(t, s, stored...)
	mustClose(t, s)
	wants(t, mustOpen(t, path), stored...)
}

// What was put lazily and cannot be written stays known. Until it can, nobody else is
// told that it will be.
func TestLazyPutOnFullDisk(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	path := filepath.Join(dir, "denylist.db")
	s := mustOpenWith(t, path, unmoved)
	r := record(1)
	percent := unmoved.room / len((&frame{entries: []entry{{r.Key, string(r.AppendValue(nil))}}}).appendTo(nil, bucketSeed)[frameHeader:]) / 100
	stored := records(120 * percent)
	mustPutLazily(t, s, nil, stored[:40*percent]...) // of the journal's room
	until(func() bool { return !s.hasLate() })
	empty := fill(t, dir)
	position := []byte("position")
	mustPutLazily(t, s, position, stored[40*percent:]...) // more than the rest
	until(s.hasFailed)
	if !s.hasLate() {
		t.Fatal("everything was written to a full disk")
	}
	refused := record(1_000_000)
	notStored(t, tryPutLazily(s, []byte("refused"), refused))
	wants(t, s, stored...)
	wantsCursor(t, s, position)
	if _, err := s.Get(refused.Key); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("Get of what was refused = %v, want ErrNotFound", err)
	}

	empty()
	until(func() bool { return !s.hasLate() }) // without anybody's doing
	after := mustOpen(t, copyOpen(t, s))
	wants(t, after, stored...)
	wantsCursor(t, after, position)
	mustPutLazily(t, s, nil, refused)
	mustClose(t, s)
	wants(t, mustOpen(t, path), append(stored, refused)...)
}

// A frame that was written in part is not stored, also if what it lacks was there: mostly
// it ends with a zero.
func TestPartOfFrame(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	for _, lacks := range []int64{1, 20} {
		path := newPath(t)
		s := mustOpen(t, path)
		mustPut(t, s, record(1))
		s.writing.Lock()
		r := s.journal.rooms[s.journal.growing]
		s.writing.Unlock()
		length := int64(r.used - roomID) // of the frame of record 1, and of that of record 2
		unlimited := limitFileSize(t, r.at+int64(r.used)+length-lacks)
		err := tryPut(s, record(2))
		unlimited()
		notStored(t, err)
		after := mustOpen(t, copyOpen(t, s))
		if _, err := after.Get(record(2).Key); !errors.Is(err, revocation.ErrNotFound) {
			t.Errorf("of a frame that lacks %d bytes, Get = %v", lacks, err)
		}
		mustPut(t, s, record(3))
		mustClose(t, s)
		after = mustOpen(t, path)
		wants(t, after, record(1), record(3))
		if found := len(all(t, after)); found != 2 {
			t.Errorf("Scan finds %d records, want 2", found)
		}
	}
}

// Where nothing can be taken back either, nobody knows what there is.
func TestPartOfFrameThatStays(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	s := mustOpen(t, newPath(t))
	mustPut(t, s, record(1))
	s.writing.Lock()
	r := s.journal.rooms[s.journal.growing]
	s.sync = func() error { return errors.New("input/output error") }
	s.writing.Unlock()
	unlimited := limitFileSize(t, r.at+int64(r.used)+20)
	err := tryPut(s, record(2))
	unlimited()
	if err == nil || errors.Is(err, revocation.ErrNotStored) {
		t.Errorf("Put = %v; want an error that promises nothing", err)
	}
	notStored(t, tryPut(s, record(3)))
	wants(t, s, record(1), record(2))
}

// What the last process could not make durable is written once more, as it is, and made
// so: all that counts.
func TestOpenSettles(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	path, _ := bothParts(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	s, err := openIdle(t.Context(), path, DefaultLockTimeout, unmoved)
	if err != nil {
		t.Fatal(err)
	}
	defer abandon(t, s)
	if info, err := os.Stat(path); err != nil || !info.ModTime().After(past) {
		t.Errorf("nothing was written: %v, %v", info, err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file is another: %v", err)
	}

	synced := 0
	s.sync = func() error { synced++; return nil }
	writes := func(what string, end int64, syncedBefore int) {
		t.Helper()
		for _, less := range []int64{0, 1} {
			unlimited := limitFileSize(t, end-less)
			synced = 0
			err := s.settle()
			unlimited()
			want := 2 // of each of the two pages, after all else
			if less > 0 {
				want = syncedBefore
			}
			if (err == nil) != (less == 0) || synced != want {
				t.Errorf("%s: with %d bytes too few, settle = %v after %d syncs", what, less, err, synced)
			}
		}
	}
	rooms := []*room{&s.journal.rooms[0], &s.journal.rooms[1]}
	slices.SortFunc(rooms, func(a, b *room) int { return int(b.at - a.at) })
	for _, r := range rooms {
		writes("a room", r.at+int64(r.used), 0)
		r.empty()
	}
	writes("the second page", s.front, 1)
}
