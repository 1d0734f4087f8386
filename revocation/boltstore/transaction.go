package boltstore

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// change makes durable what f edits: in a frame of the journal or, where anything is
// changed in place, in a transaction. What is stored already costs neither. Its error
// wraps ErrNotStored unless the change may have become durable all the same; in that
// case too, keep is called, for what is known of the file beside it.
func (s *Store) change(f func(*edit) error, keep func()) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.tryChange(f, keep)
	s.journal.failed = err != nil
	return err
}

func (s *Store) tryChange(f func(*edit) error, keep func()) error {
	if err := s.writable(); err != nil {
		return err
	}
	var e *edit
	err := s.view(func(tx *bbolt.Tx) error {
		e = s.edit(tx)
		return f(e)
	})
	if err == nil {
		r := &s.journal.rooms[s.journal.growing]
		if encoded := e.frame(r.seed); r.fits(encoded) {
			return s.appendFrame(encoded, func() { e.written(); keep() })
		}
	} else if !errors.Is(err, bolterrors.ErrTxNotWritable) {
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	return s.tryWrite(func(tx *bbolt.Tx) (bool, error) {
		e = s.edit(tx)
		if err := f(e); err != nil {
			return false, err
		}
		return e.write()
	}, func() { e.written(); keep() })
}

// appendFrame makes a frame durable, unless it is empty.
func (s *Store) appendFrame(encoded []byte, keep func()) error {
	if len(encoded) > 0 {
		err := s.append(encoded)
		if errors.Is(err, revocation.ErrNotStored) {
			return err
		}
		if err != nil { // nobody knows what the disk will have kept
			keep()
			return s.breaks(err)
		}
	}
	keep()
	return nil
}

// write runs f in a transaction and commits it if it changed anything. Otherwise it is
// as change.
func (s *Store) write(f func(*bbolt.Tx) (changed bool, err error), keep func()) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.writable()
	if err == nil {
		err = s.tryWrite(f, keep)
	}
	s.journal.failed = err != nil
	return err
}

func (s *Store) tryWrite(f func(*bbolt.Tx) (changed bool, err error), keep func()) error {
	tried, panicked := 0, true
	err := guard(func() error {
		err := s.update(func(tx *bbolt.Tx) (bool, error) {
			tried = tx.ID()
			changed, err := f(tx)
			if err == nil && changed {
				err = putNumber(tx.Bucket(metaBucket), lastKey, s.journal.last)
			}
			return changed, err
		})
		panicked = false
		return err
	})
	if err == nil {
		s.journal.noted = s.journal.last
		keep()
		return nil
	}
	// What failed before the meta page was written left nothing behind, for
	// example where the disk is full, and can be tried again. What failed after
	// that can be seen by readers though it may not be durable, and nobody knows
	// what the disk will have kept: from then on the file is only read. So it is
	// after a panic, which can leave bbolt with a wrong list of free pages.
	seen, viewErr := s.transaction()
	unknown := tried > 0 && (viewErr != nil || seen >= tried)
	if unknown || panicked {
		err = s.breaks(err)
	}
	if unknown {
		keep()
		return err
	}
	return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
}

// breaks has the file only be read from now on.
func (s *Store) breaks(err error) error {
	err = fmt.Errorf("a commit failed halfway, so that %s must be reopened before it can be written again: %w", s.path, err)
	s.broken.Store(&err)
	return err
}

// writable says why nothing can be written, if nothing can.
func (s *Store) writable() error {
	if err := s.broken.Load(); err != nil {
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, *err)
	}
	if err := s.sameFile(); err != nil {
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	return nil
}

// begin begins a transaction. It looks at the length of the file first: bbolt
// reads the front of it under locks that it would keep for ever if that faulted.
func (s *Store) begin(writable bool) (*bbolt.Tx, error) {
	info, err := s.file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < s.front {
		return nil, fmt.Errorf("%w: %s was cut short", revocation.ErrCorrupt, s.path)
	}
	return s.db.Begin(writable)
}

func (s *Store) view(f func(*bbolt.Tx) error) error {
	return guard(func() error {
		tx, err := s.begin(false)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		return f(tx)
	})
}

// guard turns a panic into an error. The database is mapped into memory: where
// the file was cut short or the disk cannot be read, an access faults, and a
// page that is not what it should be makes bbolt panic. Neither may take the
// server down.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the file is damaged or cut short: %v", revocation.ErrCorrupt, r)
		}
	}()
	return f()
}

// update is as bbolt's method of that name, except that after a panic it just
// lets go of the transaction. bbolt would read its list of free pages anew, and
// where that panics too, keep the lock for ever.
func (s *Store) update(f func(*bbolt.Tx) (changed bool, err error)) error {
	tx, err := s.begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	changed, err := f(tx)
	if err != nil || !changed {
		return err
	}
	return tx.Commit()
}

// transaction is the number of the newest transaction that readers see.
func (s *Store) transaction() (id int, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	})
	return id, err
}

// sameFile notices that the file was removed, replaced or cut short: what is written
// to the open one would be gone after a restart.
func (s *Store) sameFile() error {
	opened, err := s.file.Stat()
	if err != nil {
		return err
	}
	now, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if !os.SameFile(opened, now) {
		return fmt.Errorf("%s was replaced while it was in use; restart to use the new file", s.path)
	}
	for _, r := range s.journal.rooms { // beyond its end, the file would just become longer
		if r.at+int64(r.size) > opened.Size() {
			return fmt.Errorf("%w: %s was cut short", revocation.ErrCorrupt, s.path)
		}
	}
	return nil
}
