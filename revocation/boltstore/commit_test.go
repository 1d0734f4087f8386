package boltstore

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func TestCommitIsShared(t *testing.T) {
	s := mustOpen(t, newPath(t))
	before := commits(t, s)
	release := holdBack(t, s)
	var waiting []*put
	for i := range 64 {
		waiting = append(waiting, queue(t.Context(), t, s, record(i+1)))
	}
	release()
	for _, p := range waiting {
		if err := <-p.result; err != nil {
			t.Errorf("Put: %v", err)
		}
	}
	if n := commits(t, s) - before; n != 1 {
		t.Errorf("65 revocations took %d commits, want 1", n)
	}
	wants(t, s, records(65)...)
}

// In a bubble the clock moves only while somebody waits for it.
func TestLonePutDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, newPath(t))
		start := time.Now()
		mustPut(t, s, record(1))
		if waited := time.Since(start); waited > 0 {
			t.Errorf("a lone Put waited %s for company", waited)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestPutOfTheSameCostsNoCommit(t *testing.T) {
	s := mustOpen(t, newPath(t))
	mustPut(t, s, records(10)...)
	before := commits(t, s)
	mustPut(t, s, records(10)...)
	shorter := record(3)
	shorter.Expires = shorter.Expires.Add(-time.Second)
	mustPut(t, s, shorter)
	if n := commits(t, s) - before; n != 0 {
		t.Errorf("it took %d commits", n)
	}
}

func TestCommitIsBounded(t *testing.T) {
	s := mustOpen(t, newPath(t))
	before, err := s.transaction()
	if err != nil {
		t.Fatal(err)
	}
	release := holdBack(t, s)
	const each = maxRecords / 4
	var waiting []*put
	for i := range 8 {
		waiting = append(waiting, queue(t.Context(), t, s, records(each * (i + 1))[each*i:]...))
	}
	release()
	for _, p := range waiting {
		if err := <-p.result; err != nil {
			t.Errorf("Put: %v", err)
		}
	}
	if after, err := s.transaction(); err != nil || after-before != 2 {
		t.Errorf("twice what fits took %d commits, %v; want 2", after-before, err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	s := mustOpen(t, newPath(t))
	release := holdBack(t, s)
	for range maxWaiting {
		queue(t.Context(), t, s, record(1))
	}
	err := tryPut(s, record(2))
	notStored(t, err)
	if !errors.Is(err, revocation.ErrBusy) {
		t.Errorf("Put = %v, want ErrBusy", err)
	}
	release()
	wantsSoon(t, s, record(1))
}

func TestPutRunsOutOfTimeWhileItWaits(t *testing.T) {
	s := mustOpen(t, newPath(t))
	release := holdBack(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error)
	go func() { answer <- s.Put(ctx, revocation.Batch{Records: []revocation.Record{record(1)}}) }()
	until(func() bool { return len(s.puts) == 1 })
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) || errors.Is(err, revocation.ErrNotStored) {
		t.Errorf("Put = %v; want context.Canceled and no promise", err)
	}
	release()
}

// A disk that takes its time does not hold up whom it would keep waiting for too long.
func TestLazyPutRunsOutOfTimeBesideACommit(t *testing.T) {
	s := mustOpen(t, newPath(t))
	s.writing.Lock()
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error)
	go func() { answer <- s.Put(ctx, revocation.Batch{Records: records(1), Lazy: true}) }()
	cancel()
	err := <-answer
	s.writing.Unlock()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want context.Canceled", err)
	}
	mustPutLazily(t, s, nil, record(2))
	if _, err := s.Get(record(1).Key); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}

// After a commit that may be durable or not, the file is only read.
func TestCommitWithUnknownOutcome(t *testing.T) {
	s := mustOpen(t, newPath(t))
	mustPut(t, s, record(1))
	var e *edit
	err := s.write(func(tx *bbolt.Tx) (bool, error) {
		tx.OnCommit(func() { panic("after the commit") })
		e = s.edit(tx)
		if err := e.put(revocation.Batch{Records: records(3)}); err != nil {
			t.Error(err)
		}
		return e.write()
	}, func() { e.written() })
	if err == nil || errors.Is(err, revocation.ErrNotStored) {
		t.Errorf("write = %v; want an error that promises nothing", err)
	}
	notStored(t, tryPut(s, record(4)))
	wants(t, s, records(3)...)
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// So it is when a frame of the journal may be durable or not.
func TestFlushWithUnknownOutcome(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustPut(t, s, record(1))
	s.writing.Lock()
	s.sync = func() error { return errors.New("input/output error") }
	s.writing.Unlock()
	if err := tryPut(s, records(3)...); err == nil || errors.Is(err, revocation.ErrNotStored) {
		t.Errorf("Put = %v; want an error that promises nothing", err)
	}
	notStored(t, tryPut(s, record(4)))
	notStored(t, tryPutLazily(s, nil, record(4)))
	wants(t, s, records(3)...)
	_ = s.Close()
	s = mustOpen(t, path)
	wants(t, s, records(3)...)
	mustPut(t, s, record(4))
}

// What could not be written at all leaves room for what comes next.
func TestFrameThatCannotBeWritten(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustPut(t, s, record(1))
	s.writing.Lock()
	file := s.file
	readOnly, err := os.Open(path)
	s.file = readOnly
	s.writing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	notStored(t, tryPut(s, record(2)))
	s.writing.Lock()
	s.file = file
	s.writing.Unlock()
	_ = readOnly.Close()
	if _, err := s.Get(record(2).Key); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	mustPut(t, s, record(3))
	mustClose(t, s)
	wants(t, mustOpen(t, path), record(1), record(3))
}

// A panic in the middle of a transaction leaves neither a change nor a lock.
func TestPanicInCommit(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustPut(t, s, record(1))
	notStored(t, s.write(func(tx *bbolt.Tx) (bool, error) {
		e := s.edit(tx)
		if err := e.put(revocation.Batch{Records: records(3)}); err != nil {
			t.Error(err)
		}
		if _, err := e.write(); err != nil {
			t.Error(err)
		}
		panic("in the middle")
	}, func() { t.Error("it is kept") }))
	notStored(t, tryPut(s, record(2)))
	wants(t, s, record(1))
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	s = mustOpen(t, path)
	if _, err := s.Get(record(2).Key); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	mustPut(t, s, record(2))
}

// holdBack has the committer wait with record 0 in its hands, so that what is
// queued now waits with it until the release.
func holdBack(t *testing.T, s *Store) (release func()) {
	held := heldContext{Context: context.Background(), reached: make(chan struct{}), release: make(chan struct{})}
	first := queue(held, t, s, record(0))
	<-held.reached
	return func() {
		close(held.release)
		if err := <-first.result; err != nil {
			t.Errorf("Put: %v", err)
		}
	}
}

// heldContext holds up whoever asks whether it has ended.
type heldContext struct {
	context.Context
	reached, release chan struct{}
}

func (c heldContext) Err() error {
	close(c.reached)
	<-c.release
	return nil
}

func queue(ctx context.Context, t *testing.T, s *Store, list ...revocation.Record) *put {
	t.Helper()
	p := &put{batch: revocation.Batch{Records: list}, ctx: ctx, result: make(chan error, 1)}
	if err := s.queue(p); err != nil {
		t.Fatalf("queue: %v", err)
	}
	return p
}

func until(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}

func wantsSoon(t *testing.T, s *Store, r revocation.Record) {
	until(func() bool { _, err := s.Get(r.Key); return err == nil })
	wants(t, s, r)
}

// commits is how many there have been.
func commits(t testing.TB, s *Store) int {
	t.Helper()
	id, err := s.transaction()
	if err != nil {
		t.Fatal(err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return id + int(s.journal.last)
}
