package boltstore

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// lateTime is for how long at most what was put lazily is not in the file.
const lateTime = 50 * time.Millisecond

// isLate says whether there is anything that is not in the file.
func (j *journal) isLate() bool { return len(j.late) > 0 || j.lateCursor != nil }

// putLate has a batch seen that is written soon; unless there is reason to wait until
// it is.
func (s *Store) putLate(ctx context.Context, batch revocation.Batch) (done bool, err error) {
	if err := s.enter(); err != nil {
		return true, fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	defer s.leave()
	if err := s.writing.LockBefore(ctx); err != nil {
		return true, fmt.Errorf("%w: waiting for a commit: %w", revocation.ErrNotStored, err)
	}
	defer s.writing.Unlock()
	j := &s.journal
	if j.failed || len(j.late)+len(batch.Records) > s.limits.late || s.inPlace(&batch) {
		return false, nil
	}
	var e *edit
	err = s.view(func(tx *bbolt.Tx) error {
		e = s.edit(tx)
		return e.put(batch)
	})
	if err != nil {
		return true, fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	e.seen()
	j.late = append(j.late, e.appended...)
	if e.cursor != nil {
		j.lateCursor = e.cursor
	}
	select {
	case s.late <- struct{}{}:
	default: // it is known already
	}
	return true, nil
}

// writeLate writes what is late.
func (s *Store) writeLate() error {
	s.writing.Lock()
	late := s.journal.isLate()
	s.writing.Unlock()
	if !late {
		return nil
	}
	return s.commitAll(nil)
}

// writeLast writes what is late, and up to which frame there are any: so that it shows
// if some of a file that was closed are missing.
func (s *Store) writeLast() error {
	if err := s.writeLate(); err != nil {
		return err
	}
	_ = s.write(func(*bbolt.Tx) (bool, error) { return s.journal.noted != s.journal.last, nil }, func() {})
	return nil
}
