// Package boltstore keeps a denylist in one file, through bbolt.
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// DefaultLockTimeout is how long Open waits for another process to let go of
// the file.
const DefaultLockTimeout = 5 * time.Second

var (
	recordsBucket = []byte("records") // key to value, as package revocation encodes them
	metaBucket    = []byte("meta")
	formatKey     = []byte("format")
	cursorKey     = []byte("cursor")
	format        = []byte{1}
)

// Store is a [revocation.Store] in one file. It is locked while it is open, so
// that no second process uses it.
type Store struct {
	db   *bbolt.DB
	path string
	file os.FileInfo // the file that was opened, to notice when it is replaced

	puts    chan *put
	done    chan struct{} // closed when the committer has ended
	writing sync.Mutex    // held through a write, and the judgement of how it failed
	broken  atomic.Pointer[error]

	using  sync.RWMutex // held for reading by calls, for writing by Close
	closed bool
}

var _ revocation.Store = (*Store)(nil)

// Open opens the file at path, makes it and its directories if need be, and
// reads it once so that the scan that follows finds it in memory. Zero as
// lockTimeout is DefaultLockTimeout; when it runs out, the error wraps
// revocation.ErrLocked and names the file.
func Open(ctx context.Context, path string, lockTimeout time.Duration) (*Store, error) {
	if lockTimeout == 0 {
		lockTimeout = DefaultLockTimeout
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the denylist: %w", err)
	}
	if err := readAhead(ctx, path); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	s := &Store{path: path, puts: make(chan *put, maxWaiting), done: make(chan struct{})}
	if err := guard(func() (err error) { return s.open(lockTimeout) }); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	go s.commit()
	return s, nil
}

func (s *Store) open(lockTimeout time.Duration) (err error) {
	s.db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{
		Timeout: lockTimeout,
		// The list of free pages is not written at each commit but found at
		// Open, which reads everything anyway.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("%w: it stayed locked for %s; stop the other process, or give each its own file", revocation.ErrLocked, lockTimeout)
	}
	if err != nil {
		return err
	}
	if s.file, err = os.Stat(s.path); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(s.path))
}

// prepare makes the buckets of a new file and refuses a format it does not know.
func (s *Store) prepare() error {
	ready := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return nil
		}
		if found := meta.Get(formatKey); string(found) != string(format) || tx.Bucket(recordsBucket) == nil {
			return fmt.Errorf("%w: it has format %v, this version writes %v", revocation.ErrCorrupt, found, format)
		}
		ready = true
		return nil
	})
	if err != nil || ready {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(recordsBucket); err != nil {
			return err
		}
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		return meta.Put(formatKey, format)
	})
}

// syncDirectory makes the file's name as durable as what it holds.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// enter lets a call use the database until leave.
func (s *Store) enter() error {
	s.using.RLock()
	if s.closed {
		s.using.RUnlock()
		return revocation.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.using.RUnlock() }

// Get returns the record of a key.
func (s *Store) Get(key revocation.Key) (r revocation.Record, err error) {
	if err := s.enter(); err != nil {
		return r, err
	}
	defer s.leave()
	k := key.Bytes()
	err = s.view(func(tx *bbolt.Tx) error {
		value := tx.Bucket(recordsBucket).Get(k[:])
		if value == nil {
			return revocation.ErrNotFound
		}
		r, err = revocation.ParseRecord(key, value)
		return err
	})
	return r, err
}

// Cursor returns the stored cursor.
func (s *Store) Cursor() (cursor []byte, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	err = s.view(func(tx *bbolt.Tx) error {
		if stored := tx.Bucket(metaBucket).Get(cursorKey); stored != nil {
			cursor = append([]byte{}, stored...)
		}
		return nil
	})
	return cursor, err
}

// Close waits for what is under way, then closes the file.
func (s *Store) Close() error {
	s.using.Lock()
	defer s.using.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.puts)
	<-s.done
	return s.db.Close()
}

func (s *Store) view(f func(*bbolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

// guard turns a panic into an error. The database is mapped into memory: where
// the file was cut short or the disk cannot be read, an access faults, and a
// page that is not what it should be makes bbolt panic. Neither may take the
// server down.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", revocation.ErrCorrupt, r)
		}
	}()
	return f()
}
