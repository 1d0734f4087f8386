package boltstore

import (
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// limits say what is appended, and when it is moved.
type limits struct {
	batch  int // records in a batch at most that are appended
	late   int // in the journal at most that are not in the file
	recent int // in the journal, from which on nothing is appended any more
	room   int // bytes of each part of the journal, at first
	rooms  int // and at most
	grown  int // in a part of the journal, from which on it is moved at once
	worth  int // from which on it is moved when it is old
	// Entries that are moved in one step, at least and at most.
	least, most int
}

// The more is moved at a time, the more of it shares a page: some 25 records do.
var defaultLimits = limits{
	batch: 1024, late: 8192, recent: 1 << 18, room: 1 << 18, rooms: 16 << 20,
	grown: 1 << 17, worth: 1 << 10, least: 1 << 6, most: 1 << 12,
}

const (
	// oldTime is when what has been appended is old.
	oldTime = time.Minute
	// stepTime is how long a step should take, for which others have to wait.
	stepTime = 4 * time.Millisecond
	// moveRest is for how many times as long as a step took there is none.
	moveRest = 3
	// roomTime is for how long a room should suffice.
	roomTime = 10 * time.Second
	// retryTime is when is tried again what failed.
	retryTime = time.Second
)

// mover moves what has been appended to where it belongs among the records, some at a
// time. It is the committer's.
type mover struct {
	store   *Store
	next    <-chan time.Time // when to go on; nil if nothing is being moved
	moved   int              // so many of what is
	size    int              // of a step
	since   time.Time        // for how long the other part grows
	larger  int              // the size of the room that is made when all has been moved; 0 for none
	sorting sync.WaitGroup
}

// newMover goes on with what a file that was opened has. Nobody else uses the store yet.
func newMover(s *Store) *mover {
	m := &mover{store: s, size: s.limits.least, since: time.Now()}
	if s.recent.isMoving() {
		m.sort()
	} else {
		m.begin()
	}
	return m
}

// begin has a part of the journal moved that has grown enough, and is in the file. The
// caller holds the store's writing.
func (m *mover) begin() {
	s := m.store
	enough := s.limits.grown
	if time.Since(m.since) > oldTime {
		enough = s.limits.worth
	}
	j := &s.journal
	r := &j.rooms[j.growing]
	if !s.recent.isMoving() && (j.grown >= enough || r.isCramped()) && !j.isLate() {
		if m.larger = 0; j.grown < s.limits.grown {
			m.larger = m.roomFor(r)
		}
		s.turn()
		m.since = time.Now()
		m.sort()
	}
}

// roomFor is the size that a room should have for what comes in roomTime, as fast as it
// was filled; 0 if it has that. To make a large one takes a large flush, for which others
// wait, and which few need.
func (m *mover) roomFor(r *room) int {
	took := max(time.Since(m.since), time.Millisecond)
	size := min(float64(r.used)*roomTime.Seconds()/took.Seconds(), float64(m.store.limits.rooms))
	if !r.isCramped() || size <= float64(r.size) {
		return 0
	}
	return int(size)
}

// sort has what is to be moved sorted, beside the committer, and moved then.
func (m *mover) sort() {
	sorted := make(chan time.Time, 1)
	m.moved, m.next = 0, sorted
	m.sorting.Go(func() {
		m.store.recent.sort()
		sorted <- time.Now()
	})
}

// step moves some, and more the next time if that took little time.
func (m *mover) step() {
	s := m.store
	began := time.Now()
	err := m.move()
	took := time.Since(began)
	switch {
	case err != nil || took > stepTime:
		m.size = max(m.size/2, s.limits.least)
	case took < stepTime/2:
		m.size = min(2*m.size, s.limits.most)
	}
	switch {
	case err != nil: // a full disk, or what the next Put says too
		m.larger = 0
		m.next = time.After(retryTime)
	case m.moved > 0: // and there is more
		m.next = time.After(moveRest * took)
	}
}

// move is a step.
func (m *mover) move() error {
	s := m.store
	rest := s.recent.sorted[m.moved:]
	some := rest[:min(len(rest), m.size)]
	more := len(some) < len(rest)
	return s.write(func(tx *bbolt.Tx) (bool, error) {
		records := tx.Bucket(recordsBucket)
		for i := range some {
			if err := set(records, &some[i]); err != nil {
				return false, err
			}
		}
		if more {
			return true, nil
		}
		if m.larger > 0 {
			if err := makeRoom(tx, roomBuckets[1-s.journal.growing], m.larger); err != nil {
				return false, err
			}
		}
		return true, s.moved(tx)
	}, func() { m.done(len(some), more) })
}

// done is called when a number of entries more have been moved.
func (m *mover) done(n int, more bool) {
	s := m.store
	switch {
	case s.broken.Load() != nil: // nobody knows where they are: they stay in memory
	case more:
		m.moved += n
	default:
		s.recent.moved()
		m.moved, m.next = 0, nil
		if err := s.vacate(1-s.journal.growing, m.larger > 0); err != nil {
			_ = s.breaks(err)
			return
		}
		m.begin()
	}
}

// set has an entry stand among the records.
func set(records *bbolt.Bucket, e *entry) error {
	key := e.key.Bytes()
	if e.value == "" {
		return records.Delete(key[:])
	}
	return records.Put(key[:], []byte(e.value))
}
