package boltstore

import (
	"time"

	"go.etcd.io/bbolt"
)

// limits say what is appended, and when it is moved.
type limits struct {
	together int // records that are changed together at most to be appended
	recent   int // in the journal, from which on nothing is appended any more
	grown    int // in a part of the journal, from which on it is moved at once
	worth    int // from which on it is moved when it is old
}

// The more is moved at a time, the more of it shares a page: some 25 records do.
var defaultLimits = limits{together: 8192, recent: 1 << 18, grown: 1 << 16, worth: 1 << 10}

const (
	// oldTime is when what has been appended is old.
	oldTime = time.Minute
	// stepTime is how long a step should take, for which others have to wait.
	stepTime = 4 * time.Millisecond
	// minStep and maxStep bound the entries that are moved in one.
	minStep, maxStep = 1 << 6, 1 << 12
	// moveRest is for how many times as long as a step took there is none.
	moveRest = 3
	// retryTime is when is tried again what failed.
	retryTime = time.Second
)

// mover moves what has been appended to where it belongs among the records, some at a
// time. It is the committer's.
type mover struct {
	store *Store
	next  <-chan time.Time // when to go on; nil if nothing is being moved
	moved int              // so many of what is
	size  int              // of a step
	since time.Time        // for how long the other part grows
}

// newMover goes on with what a file that was opened has.
func newMover(s *Store) *mover {
	m := &mover{store: s, size: minStep, since: time.Now()}
	if s.recent.moving != nil {
		m.next = time.After(0)
	} else {
		m.begin()
	}
	return m
}

// begin has a part of the journal moved that has grown enough, and is in the file.
func (m *mover) begin() {
	s := m.store
	s.writing.Lock()
	defer s.writing.Unlock()
	enough := s.limits.grown
	if time.Since(m.since) > oldTime {
		enough = s.limits.worth
	}
	if s.recent.moving == nil && s.journal.grown >= enough && !s.journal.isLate() {
		s.turn()
		m.moved, m.since, m.next = 0, time.Now(), time.After(0)
	}
}

// step moves some, and more the next time if that took little time.
func (m *mover) step() {
	began := time.Now()
	more, err := m.move()
	took := time.Since(began)
	switch {
	case took > stepTime:
		m.size = max(m.size/2, minStep)
	case took < stepTime/2:
		m.size = min(2*m.size, maxStep)
	}
	switch {
	case err != nil: // a full disk, or what the next Put says too
		m.next = time.After(retryTime)
	case more:
		m.next = time.After(moveRest * took)
	default:
		m.next = nil
		m.begin()
	}
}

// move is a step. It says whether there is more.
func (m *mover) move() (more bool, err error) {
	s := m.store
	rest := s.recent.sorted[m.moved:]
	some := rest[:min(len(rest), m.size)]
	more = len(some) < len(rest)
	err = s.write(func(tx *bbolt.Tx) (bool, error) {
		records := tx.Bucket(recordsBucket)
		for i := range some {
			if err := set(records, &some[i]); err != nil {
				return false, err
			}
		}
		if more {
			return true, nil
		}
		return true, tx.DeleteBucket(journalBuckets[1-s.journal.growing])
	}, func() {
		if m.moved += len(some); !more {
			s.recent.moved()
		}
	})
	return more, err
}

// set has an entry stand among the records.
func set(records *bbolt.Bucket, e *entry) error {
	key := e.key.Bytes()
	if e.value == "" {
		return records.Delete(key[:])
	}
	return records.Put(key[:], []byte(e.value))
}
