package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	maxWaiting = 4096   // puts that wait for a commit; more are refused with ErrBusy
	maxRecords = 10_000 // in one commit, if more than one put takes part
)

// put is a batch that waits to become durable.
type put struct {
	batch  revocation.Batch
	ctx    context.Context
	result chan error // has room for the one answer
}

// Put makes a batch durable, in one commit with whatever else waits.
func (s *Store) Put(ctx context.Context, batch revocation.Batch) error {
	p := &put{batch: batch, ctx: ctx, result: make(chan error, 1)}
	if err := s.queue(p); err != nil {
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	select {
	case err := <-p.result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for a commit: %w", context.Cause(ctx))
	}
}

func (s *Store) queue(p *put) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.broken.Load(); err != nil {
		return *err
	}
	select {
	case s.puts <- p:
		return nil
	default:
		return revocation.ErrBusy
	}
}

// commit takes what has queued up while the last commit ran, and commits it
// together: nobody waits for company, and company costs nothing.
func (s *Store) commit() {
	defer close(s.done)
	for first := range s.puts {
		puts := s.gather(first)
		err := s.write(func(tx *bbolt.Tx) (changed bool, err error) {
			for _, p := range puts {
				changedHere, err := apply(tx, p.batch)
				if err != nil {
					return false, err
				}
				changed = changed || changedHere
			}
			return changed, nil
		})
		for _, p := range puts {
			p.result <- err
		}
	}
}

// gather takes the waiting puts, and answers those whose callers have gone.
func (s *Store) gather(first *put) []*put {
	var puts []*put
	records := 0
	take := func(p *put) {
		if err := p.ctx.Err(); err != nil {
			p.result <- fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
			return
		}
		puts = append(puts, p)
		records += len(p.batch.Records)
	}
	take(first)
	for records < maxRecords {
		select {
		case p, ok := <-s.puts:
			if !ok {
				return puts
			}
			take(p)
		default:
			return puts
		}
	}
	return puts
}

// inOrder are the records in the order of their keys, in which bbolt comes to each
// page once only.
func inOrder(records []revocation.Record) []*revocation.Record {
	list := make([]*revocation.Record, len(records))
	for i := range records {
		list[i] = &records[i]
	}
	slices.SortFunc(list, func(a, b *revocation.Record) int { return a.Key.Compare(b.Key) })
	return list
}

// apply enters a batch into a transaction and says whether that changed anything.
func apply(tx *bbolt.Tx, batch revocation.Batch) (changed bool, err error) {
	bucket := tx.Bucket(recordsBucket)
	for _, record := range inOrder(batch.Records) {
		r := *record
		key := r.Key.Bytes()
		stored := bucket.Get(key[:])
		if stored != nil {
			old, err := revocation.ParseRecord(r.Key, stored)
			if err != nil {
				return false, err
			}
			r = batch.Merged(old, r)
		}
		value := r.AppendValue(nil)
		if stored != nil && bytes.Equal(stored, value) {
			continue
		}
		if err := bucket.Put(key[:], value); err != nil {
			return false, err
		}
		changed = true
	}
	if batch.Cursor != nil {
		changed = true
		err = tx.Bucket(metaBucket).Put(cursorKey, batch.Cursor)
	}
	return changed, err
}

// write runs f in a transaction and commits what it changed: a record that is
// stored already costs no commit. Its error wraps ErrNotStored unless the change
// may have become durable all the same.
func (s *Store) write(f func(*bbolt.Tx) (changed bool, err error)) error {
	s.writing.Lock()
	defer s.writing.Unlock()
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
