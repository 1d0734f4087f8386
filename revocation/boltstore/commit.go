package boltstore

import (
	"context"
	"fmt"
	"time"

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

// Put makes a batch durable, in one commit with whatever else waits. Its records are
// appended to a journal, which a commit can do with a few pages, whatever their keys
// are; many are put in place at once.
func (s *Store) Put(ctx context.Context, batch revocation.Batch) error {
	if batch.Lazy && ctx.Err() == nil {
		if done, err := s.putLate(ctx, batch); done {
			return err
		}
	}
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

// commit takes what has queued up while the last commit ran, and commits it together:
// nobody waits for company, and company costs nothing. In between, it writes what was
// put lazily, and moves what was appended.
func (s *Store) commit() {
	defer close(s.done)
	defer s.mover.sorting.Wait()
	var late <-chan time.Time // when to write that; nil if nothing is late
	for {
		select {
		case first, ok := <-s.puts:
			if !ok {
				s.unwritten = s.writeLast()
				return
			}
			if s.commitAll(s.gather(first)) == nil {
				late = nil // it is written, and what comes says so again
			}
		case <-s.late:
			if late == nil {
				late = time.After(lateTime)
			}
		case <-late:
			if late = nil; s.writeLate() != nil {
				late = time.After(retryTime)
			}
		case <-s.mover.next:
			s.mover.step()
		}
	}
}

// commitAll commits puts together, and what is late. At the moment that it has, nothing
// is late, so that a part of the journal can be moved.
func (s *Store) commitAll(puts []*put) error {
	err := s.change(func(e *edit) error {
		for _, p := range puts {
			if err := e.put(p.batch); err != nil {
				return err
			}
		}
		return nil
	}, s.mover.begin)
	for _, p := range puts {
		p.result <- err
	}
	return err
}

// gather takes the waiting puts, and answers those whose callers have gone.
func (s *Store) gather(first *put) (puts []*put) {
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
