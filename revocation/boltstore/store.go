// Package boltstore keeps a denylist in one file, through bbolt.
package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
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
	// The second format has a journal, which whoever knows the first only would
	// not look at. A file of the first is made one of the second.
	format, firstFormat = []byte{2}, []byte{1}
)

// Store is a [revocation.Store] in one file. It is locked while it is open, so
// that no second process uses it.
type Store struct {
	db    *bbolt.DB
	path  string
	file  *os.File     // the one that bbolt opened
	front int64        // length of the two pages at its front, which say where all else is
	sync  func() error // makes what was written to it durable

	puts    chan *put
	done    chan struct{} // closed when the committer has ended
	writing lock          // held through a write, and the judgement of how it failed
	broken  atomic.Pointer[error]

	limits    limits
	recent    *recent
	journal   journal       // guarded by writing
	mover     *mover        // the committer's
	late      chan struct{} // has one when something has become late
	unwritten error         // why what was late is not in the file, once done is closed

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
	return open(ctx, path, lockTimeout, defaultLimits)
}

func open(ctx context.Context, path string, lockTimeout time.Duration, limits limits) (*Store, error) {
	s, err := openIdle(ctx, path, lockTimeout, limits)
	if err != nil {
		return nil, err
	}
	go s.commit()
	return s, nil
}

// openIdle opens a store without its committer.
func openIdle(ctx context.Context, path string, lockTimeout time.Duration, limits limits) (*Store, error) {
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("making the directory of the denylist: %w", err)
	}
	if err := readAhead(ctx, path); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	s := &Store{
		path: path, limits: limits, recent: newRecent(), writing: newLock(),
		puts: make(chan *put, maxWaiting), done: make(chan struct{}), late: make(chan struct{}, 1),
	}
	if err := guard(func() (err error) { return s.open(lockTimeout) }); err != nil {
		switch {
		case s.db != nil:
			err = errors.Join(err, s.db.Close())
		case s.file != nil: // bbolt panicked
			_ = s.file.Close()
		}
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.mover = newMover(s)
	return s, nil
}

func (s *Store) open(lockTimeout time.Duration) (err error) {
	s.db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{
		Timeout: lockTimeout,
		// The list of free pages stays in the file. Without it, bbolt would look
		// for them at each Open and after each failed commit: through all pages,
		// and in a goroutine where a damaged one ends the process. An array, as
		// the map would be sorted at each commit.
		FreelistType: bbolt.FreelistArrayType,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			s.file, err = os.OpenFile(name, flag, mode)
			return s.file, err
		},
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("%w: it stayed locked for %s; stop the other process, or give each its own file", revocation.ErrLocked, lockTimeout)
	}
	if err != nil {
		return err
	}
	s.front = 2 * int64(s.db.Info().PageSize)
	s.sync = s.db.Sync
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.view(s.load); err != nil {
		return err
	}
	if err := s.settle(); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(s.path))
}

// prepare makes the buckets of a new file, has one of the first format brought to the
// second, and refuses a format it does not know.
func (s *Store) prepare() error {
	ready := false
	err := s.view(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			if name, _ := tx.Cursor().First(); name != nil {
				return fmt.Errorf("%w: it is the file of another program", revocation.ErrCorrupt)
			}
			return nil
		}
		found := meta.Get(formatKey)
		ready = bytes.Equal(found, format)
		if !ready && !bytes.Equal(found, firstFormat) || tx.Bucket(recordsBucket) == nil {
			return fmt.Errorf("%w: it has format %v, this version writes %v", revocation.ErrCorrupt, found, format)
		}
		return nil
	})
	if err != nil || ready {
		return err
	}
	return s.update(func(tx *bbolt.Tx) (bool, error) {
		if _, err := tx.CreateBucketIfNotExists(recordsBucket); err != nil {
			return false, err
		}
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return false, err
		}
		for _, bucket := range roomBuckets {
			if err := makeRoom(tx, bucket, s.limits.room); err != nil {
				return false, err
			}
		}
		return true, meta.Put(formatKey, format)
	})
}

// makeDirectory makes a directory, and those above it, as durable as a file in it.
func makeDirectory(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := makeDirectory(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDirectory(above)
}

// syncDirectory makes the names in a directory as durable as what they stand
// for. Windows has no way, and no need, to do that.
func syncDirectory(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
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
	if found, ok := s.recent.get(key); ok {
		if found == "" {
			return r, revocation.ErrNotFound
		}
		return revocation.ParseRecord(key, []byte(found))
	}
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
	return s.recent.keptCursor(), nil
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
	return errors.Join(s.unwritten, s.db.Close())
}
