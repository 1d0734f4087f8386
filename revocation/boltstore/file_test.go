package boltstore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func TestLocked(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	_, err := Open(t.Context(), path, time.Millisecond)
	if !errors.Is(err, revocation.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second Open = %v; want ErrLocked and the name of the file", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	mustOpen(t, path)
}

func TestFileGone(t *testing.T) {
	path := newPath(t)
	aside := path + ".aside"
	s := mustOpen(t, path)
	mustPut(t, s, record(1))
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}

	move(path, aside)
	notStored(t, tryPut(s, record(2)))

	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := tryPut(s, record(2))
	notStored(t, err)
	if !strings.Contains(err.Error(), path) {
		t.Errorf("%q does not name the file", err)
	}
	wants(t, s, record(1)) // what is known stays known

	move(aside, path)
	mustPut(t, s, record(2))
}

// What is put lazily while the file is gone is known at least until Close, which says
// that it is lost; who comes once that is known is told.
func TestFileGoneForLazyPuts(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustPutLazily(t, s, []byte("one"), record(1))
	until(func() bool { return !s.hasLate() }) // or that could fail before the next is put
	if err := os.Rename(path, path+".aside"); err != nil {
		t.Fatal(err)
	}
	mustPutLazily(t, s, []byte("two"), record(2))
	until(s.hasFailed)
	notStored(t, tryPutLazily(s, []byte("three"), record(3)))
	wants(t, s, record(1), record(2))
	if err := os.Rename(path+".aside", path); err != nil {
		t.Fatal(err)
	}
	mustPutLazily(t, s, nil, record(3)) // with what has waited
	after := mustOpen(t, copyOpen(t, s))
	wants(t, after, record(1), record(2), record(3))
	wantsCursor(t, after, []byte("two"))

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustPutLazily(t, s, nil, record(4))
	if err := s.Close(); !errors.Is(err, revocation.ErrNotStored) {
		t.Errorf("Close = %v; it does not say that something was lost", err)
	}
}

// hasFailed says whether the last write has.
func (s *Store) hasFailed() bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.journal.failed
}

// hasLate says whether anything is not in the file yet.
func (s *Store) hasLate() bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.journal.isLate()
}

// Where a file was cut short, no answer is a wrong one, and nothing crashes or
// hangs.
func TestFileCutShort(t *testing.T) {
	page := int64(os.Getpagesize())
	for _, length := range []int64{0, 1, page, 2 * page, 3 * page, 10 * page, 20 * page} {
		path := newPath(t)
		s := mustOpen(t, path)
		list := records(9000) // too many for the journal, of which much is in memory
		mustPut(t, s, list...)
		mustPut(t, s, list[0]) // so that the list of free pages is not empty
		if err := os.Truncate(path, length); err != nil {
			t.Fatal(err)
		}
		errs := 0
		for _, want := range list {
			got, err := s.Get(want.Key)
			if err != nil {
				errs++
			}
			if err == nil && got != want || errors.Is(err, revocation.ErrNotFound) {
				t.Fatalf("%d bytes: Get = %+v, %v", length, got, err)
			}
		}
		if errs == 0 {
			t.Errorf("%d bytes: every record can be read", length)
		}
		if err := s.Scan(t.Context(), revocation.Key{}, func(revocation.Record) error { return nil }); err == nil {
			t.Errorf("%d bytes: Scan = nil", length)
		}
		if _, err := s.Drop(t.Context(), t0.Add(24*time.Hour)); err == nil {
			t.Errorf("%d bytes: Drop = nil", length)
		}
		notStored(t, tryPut(s, records(12000)...))
		notStored(t, tryPut(s, record(12001)))
		_ = s.Close()
	}
}

func TestUnreadableFile(t *testing.T) {
	noise := make([]byte, 1<<16)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	for name, content := range map[string][]byte{
		"text":   []byte("hello"),
		"noise":  noise,
		"zeroes": make([]byte, 1<<16),
	} {
		path := newPath(t)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := refused(t, path); err == nil {
			t.Errorf("%s was opened", name)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
			t.Errorf("%s was changed", name)
		}
	}
	if err := refused(t, t.TempDir()); err == nil {
		t.Error("a directory was opened")
	}
}

func TestUnknownFormat(t *testing.T) {
	for name, change := range map[string]func(*bbolt.Tx) error{
		"another format": func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte{3}) },
		"no format":      func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(formatKey) },
		"no records":     func(tx *bbolt.Tx) error { return tx.DeleteBucket(recordsBucket) },
		"another program's": func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("theirs"))
			return errors.Join(err, tx.DeleteBucket(recordsBucket), tx.DeleteBucket(metaBucket))
		},
	} {
		path := newPath(t)
		s := mustOpen(t, path)
		if err := s.db.Update(change); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := refused(t, path); !errors.Is(err, revocation.ErrCorrupt) {
			t.Errorf("%s: Open = %v, want ErrCorrupt", name, err)
		}
	}
}

// Whatever a disk did to the pages, there is an error and not a crash.
func TestDamagedFile(t *testing.T) {
	inPlace := newPath(t)
	s := mustOpenWith(t, inPlace, limits{grown: 1})
	mustPut(t, s, records(2000)...)
	mustPut(t, s, record(2000))
	mustClose(t, s)
	inJournal, list := bothParts(t)
	t.Run("in place", func(t *testing.T) { damaged(t, inPlace, 2001) })
	t.Run("in the journal", func(t *testing.T) { damaged(t, inJournal, len(list)) })
}

// damaged asserts that a file in which a page was zeroed has records as before or
// there is an error.
func damaged(t *testing.T, path string, records int) {
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for n := 2 * page; n < len(intact); n += page {
		damaged := bytes.Clone(intact)
		clear(damaged[n : n+page])
		path := newPath(t)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		limits := defaultLimits
		if n/page%2 == 0 {
			limits = manyLimits["tiny limits"] // with which it is moved too
		}
		s, err := open(t.Context(), path, DefaultLockTimeout, limits)
		if err != nil {
			continue
		}
		found := 0
		err = s.Scan(t.Context(), revocation.Key{}, func(revocation.Record) error { found++; return nil })
		if err == nil && found != records {
			t.Errorf("page %d: Scan found %d records and no error", n/page, found)
		}
		_ = tryPut(s, record(6000))
		_ = s.Close()
	}
}

// refused is the error of Open, which names the file.
func refused(t *testing.T, path string) error {
	t.Helper()
	s, err := Open(t.Context(), path, time.Millisecond)
	if err == nil {
		_ = s.Close()
	} else if !strings.Contains(err.Error(), path) {
		t.Errorf("%q does not name the file", err)
	}
	return err
}
