// Package memorystore keeps a denylist in memory, for nodes without a disk. It
// forgets everything when the process ends: what a node with such a store has to
// know comes from its cluster, which is also what makes a revocation durable.
package memorystore

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/btree"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Memory is the place where a store lives. It is empty at first, and outlives the
// store, though not the process.
type Memory struct {
	using sync.Mutex // held by the store that is open

	mu      sync.RWMutex // guards what follows
	records *btree.BTreeG[entry]
	cursor  []byte
}

// entry is a record as it is stored elsewhere too, which takes half of the room.
type entry struct {
	key   revocation.Key
	value string
}

// degree is half of how many entries a node of the tree has at most.
const degree = 32

// New returns an empty memory.
func New() *Memory {
	less := func(a, b entry) bool { return a.key.Compare(b.key) < 0 }
	return &Memory{records: btree.NewG(degree, less)}
}

// Open opens the store that lives in the memory; there can be one at a time.
func (m *Memory) Open() (*Store, error) {
	if !m.using.TryLock() {
		return nil, fmt.Errorf("opening a store in memory: %w", revocation.ErrLocked)
	}
	return &Store{memory: m}, nil
}

// Store implements [revocation.Store] and [revocation.Volatile].
type Store struct {
	memory *Memory

	using  sync.RWMutex // held for writing by Close
	closed bool
}

var (
	_ revocation.Store    = (*Store)(nil)
	_ revocation.Volatile = (*Store)(nil)
)

// Volatile says that the store forgets everything when the process ends.
func (*Store) Volatile() {}

// enter lets a call use the memory until leave.
func (s *Store) enter() error {
	s.using.RLock()
	if s.closed {
		s.using.RUnlock()
		return revocation.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.using.RUnlock() }

// putChunk bounds the records for which others have to wait.
const putChunk = 256

// Put stores a batch, the cursor last.
func (s *Store) Put(ctx context.Context, batch revocation.Batch) error {
	err := s.enter()
	if err == nil {
		defer s.leave()
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	m := s.memory
	for rest := batch.Records; len(rest) > 0; {
		some := rest[:min(len(rest), putChunk)]
		if err := m.put(&batch, some); err != nil {
			return err
		}
		rest = rest[len(some):]
	}
	if batch.Cursor != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.cursor = bytes.Clone(batch.Cursor)
	}
	return nil
}

// put stores some of the records of a batch.
func (m *Memory) put(batch *revocation.Batch, records []revocation.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var value []byte
	set := func(r *revocation.Record) (before entry, had bool) {
		value = r.AppendValue(value[:0])
		return m.records.ReplaceOrInsert(entry{r.Key, string(value)})
	}
	for i := range records {
		before, had := set(&records[i]) // mostly there is none
		if !had {
			continue
		}
		old, err := before.record()
		if err != nil {
			return err
		}
		merged := batch.Merged(old, records[i])
		set(&merged)
	}
	return nil
}

func (e *entry) record() (revocation.Record, error) {
	return revocation.ParseRecord(e.key, []byte(e.value))
}

// Get returns the record of a key.
func (s *Store) Get(key revocation.Key) (r revocation.Record, err error) {
	if err := s.enter(); err != nil {
		return r, err
	}
	defer s.leave()
	s.memory.mu.RLock()
	stored, ok := s.memory.records.Get(entry{key: key})
	s.memory.mu.RUnlock()
	if !ok {
		return r, revocation.ErrNotFound
	}
	return stored.record()
}

// now is what is stored at this moment; what comes later does not change it.
func (m *Memory) now() *btree.BTreeG[entry] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records.Clone()
}

// askEvery is after how many records it is looked whether anybody still waits.
const askEvery = 256

// Scan calls f with what is stored when it begins.
func (s *Store) Scan(ctx context.Context, from revocation.Key, f func(revocation.Record) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err, looked := context.Cause(ctx), 0
	if err != nil {
		return err
	}
	s.memory.now().AscendGreaterOrEqual(entry{key: from}, func(e entry) bool {
		var r revocation.Record
		if r, err = e.record(); err == nil {
			err = f(r)
		}
		if looked++; err == nil && looked%askEvery == 0 {
			err = context.Cause(ctx)
		}
		return err == nil
	})
	return err
}

// Drop removes what expires before a time.
func (s *Store) Drop(ctx context.Context, before time.Time) (dropped int, err error) {
	var expired []revocation.Key
	err = s.Scan(ctx, revocation.Key{}, func(r revocation.Record) error {
		if r.Expires.Before(before) {
			expired = append(expired, r.Key)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	for len(expired) > 0 {
		some := expired[:min(len(expired), putChunk)]
		n, err := s.memory.drop(some, before)
		if dropped += n; err != nil {
			return dropped, err
		}
		expired = expired[len(some):]
	}
	return dropped, nil
}

// drop removes those of the keys that still expire before a time.
func (m *Memory) drop(keys []revocation.Key, before time.Time) (dropped int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		e, ok := m.records.Get(entry{key: key})
		if !ok {
			continue
		}
		r, err := e.record()
		if err != nil {
			return dropped, err
		}
		if r.Expires.Before(before) {
			m.records.Delete(e)
			dropped++
		}
	}
	return dropped, nil
}

// Cursor returns the stored cursor.
func (s *Store) Cursor() ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.memory.mu.RLock()
	defer s.memory.mu.RUnlock()
	return bytes.Clone(s.memory.cursor), nil
}

// Close waits for what is under way. The memory keeps what it has.
func (s *Store) Close() error {
	s.using.Lock()
	defer s.using.Unlock()
	if !s.closed {
		s.closed = true
		s.memory.using.Unlock()
	}
	return nil
}
