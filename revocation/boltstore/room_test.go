package boltstore

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// smallRooms are limits with which only what the rooms hold counts.
var smallRooms = limits{
	batch: 1 << 20, late: 1 << 20, recent: 1 << 20, room: 1 << 13, rooms: 3 << 13,
	grown: 1 << 20, worth: 1 << 20, least: 1 << 10, most: 1 << 10,
}

func mustOpenIdle(t *testing.T, path string, limits limits) *Store {
	t.Helper()
	s, err := openIdle(t.Context(), path, DefaultLockTimeout, limits)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func mustCommit(t *testing.T, s *Store, batch revocation.Batch) {
	t.Helper()
	if err := commitOne(s, batch); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// What a room has is moved before it is full, and cramped rooms become larger, until
// they are large enough: so nothing has to be put in place.
func TestRoomsBecomeLarger(t *testing.T) {
	synctest.Test(t, roomsBecomeLarger) // where a slow disk does not make it seem that little comes
}

func roomsBecomeLarger(t *testing.T) {
	path := newPath(t)
	s := mustOpenIdle(t, path, smallRooms)
	list := records(3000)
	moves := 0
	for _, r := range list {
		mustCommit(t, s, revocation.Batch{Records: []revocation.Record{r}})
		if !s.recent.isMoving() {
			continue
		}
		before, moving := inPlace(t, s), len(s.recent.moving)
		for s.mover.next != nil {
			<-s.mover.next
			s.mover.step()
		}
		if moves++; inPlace(t, s) != before+moving {
			t.Fatalf("%d records are in place, want those before and those moved: %d", inPlace(t, s), before+moving)
		}
	}
	if moves < 10 {
		t.Errorf("it was moved only %d times", moves)
	}
	for i, r := range s.journal.rooms {
		if r.size != smallRooms.rooms {
			t.Errorf("room %d has %d bytes, want %d", i, r.size, smallRooms.rooms)
		}
	}
	abandon(t, s)
	intact(t, path)
	wants(t, mustOpen(t, path), list...)
}

// When a room is full and what the other has is still being moved, records are put in
// place, and no frame is larger than what is left of a room.
func TestRoomIsFull(t *testing.T) {
	path := newPath(t)
	s := mustOpenIdle(t, path, smallRooms)
	list := records(500)
	for _, r := range list {
		mustCommit(t, s, revocation.Batch{Records: []revocation.Record{r}})
	}
	if n := inPlace(t, s); n < len(list)/2 {
		t.Errorf("%d records are in place: more fit into no room", n)
	}
	_ = s.view(func(tx *bbolt.Tx) error {
		if tx.Bucket(framesBucket) != nil {
			t.Error("there are frames in place of records")
		}
		return nil
	})
	abandon(t, s)
	intact(t, path)
	wants(t, mustOpen(t, path), list...)
}

func TestFits(t *testing.T) {
	r := room{size: 100, used: 90}
	if !r.fits(make([]byte, 10)) || r.fits(make([]byte, 11)) {
		t.Error("what fits is not what is left")
	}
}

// Where moving failed, for example because the disk is full, it does not need more of it.
func TestRoomStaysAfterFailure(t *testing.T) {
	path := newPath(t)
	s := mustOpenIdle(t, path, smallRooms)
	defer abandon(t, s)
	list := records(100)
	for _, r := range list {
		mustCommit(t, s, revocation.Batch{Records: []revocation.Record{r}})
	}
	if s.mover.larger == 0 {
		t.Fatal("no larger room is to be made")
	}
	<-s.mover.next
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(path, path+".aside")
	s.mover.step()
	if !s.recent.isMoving() {
		t.Fatal("it was moved though the file is gone")
	}
	move(path+".aside", path)
	for s.recent.isMoving() {
		s.mover.step()
	}
	for i, r := range s.journal.rooms {
		if r.size != smallRooms.room {
			t.Errorf("room %d has %d bytes, want %d", i, r.size, smallRooms.room)
		}
	}
	wants(t, s, list...)
}

// A room becomes as large as what comes in some time, if it was filled sooner.
func TestRoomForWhatComes(t *testing.T) {
	m := &mover{store: &Store{limits: smallRooms}}
	for _, c := range []struct {
		ago         time.Duration
		used        int
		least, most int
	}{
		{ago: 2 * roomTime, used: 8000},
		{ago: roomTime / 2, used: 8000, least: 15_000, most: 16_000},
		{ago: 0, used: 8000, least: smallRooms.rooms, most: smallRooms.rooms},
		{ago: 0, used: 4000}, // which is less than half
	} {
		m.since = time.Now().Add(-c.ago)
		if size := m.roomFor(&room{size: smallRooms.room, used: c.used}); size < c.least || size > c.most {
			t.Errorf("for %d bytes in %s there is a room of %d, want %d to %d", c.used, c.ago, size, c.least, c.most)
		}
	}
	if size := m.roomFor(&room{size: smallRooms.rooms, used: smallRooms.rooms}); size != 0 {
		t.Errorf("what is as large as it may be becomes %d", size)
	}
}
