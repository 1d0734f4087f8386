package boltstore

import (
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// write runs f in a transaction and commits what it changed: a record that is
// stored already costs no commit. Its error wraps ErrNotStored unless the change
// may have become durable all the same; in that case too, keep is called, for what is
// known of the file beside it.
func (s *Store) write(f func(*bbolt.Tx) (changed bool, err error), keep func()) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.tryWrite(f, keep)
	s.journal.failed = err != nil
	return err
}

func (s *Store) tryWrite(f func(*bbolt.Tx) (changed bool, err error), keep func()) error {
	if err := s.broken.Load(); err != nil {
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, *err)
	}
	if err := s.sameFile(); err != nil {
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	tried, panicked := 0, true
	err := guard(func() error {
		err := s.update(func(tx *bbolt.Tx) (bool, error) {
			tried = tx.ID()
			return f(tx)
		})
		panicked = false
		return err
	})
	if err == nil {
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
		err = fmt.Errorf("a commit failed halfway, so that %s must be reopened before it can be written again: %w", s.path, err)
		s.broken.Store(&err)
	}
	if unknown {
		keep()
		return err
	}
	return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
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

// sameFile notices that the file was removed or replaced: what is written to
// the open one would be gone after a restart.
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
	return nil
}
