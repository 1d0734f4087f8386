package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// unmoved are limits with which nothing is moved.
var unmoved = limits{batch: 1 << 20, late: 1 << 20, recent: 1 << 20, grown: 1 << 20, worth: 1 << 20, least: 1, most: 1}

// bothParts makes a file whose journal has two parts: records 0 to 999 in the
// older, of which the first hundred are dropped, and 900 to 1999 in the newer.
func bothParts(t testing.TB) (path string, want []revocation.Record) {
	t.Helper()
	path = newPath(t)
	s := mustOpenWith(t, path, unmoved)
	list := records(2000)
	mustPut(t, s, list[:1000]...)
	s.writing.Lock()
	s.turn() // with a mover that does not know of it
	s.writing.Unlock()
	mustPut(t, s, list[1000:]...)
	for i := 900; i < 1000; i++ {
		list[i].Expires = list[i].Expires.Add(time.Hour)
	}
	mustPut(t, s, list[900:1000]...)
	var expired []revocation.Key
	for _, r := range list[:100] {
		expired = append(expired, r.Key)
	}
	if n, err := s.drop(expired, t0.Add(2*time.Hour)); err != nil || n != 100 {
		t.Fatalf("drop = %d, %v", n, err)
	}
	mustClose(t, s)
	return path, list[100:]
}

// A file that was closed in the middle of a move has both parts, and the newer counts.
func TestBothPartsOfTheJournal(t *testing.T) {
	path, want := bothParts(t)
	for _, limits := range []limits{unmoved, manyLimits["tiny limits"], defaultLimits} {
		s := mustOpenWith(t, path, limits)
		wants(t, s, want...)
		for i := range 100 {
			if _, err := s.Get(record(i).Key); !errors.Is(err, revocation.ErrNotFound) {
				t.Fatalf("Get of what was dropped = %v", err)
			}
		}
		mustClose(t, s)
	}
}

// What was durable in the first format is in the second, which earlier versions refuse.
func TestFirstFormat(t *testing.T) {
	path := newPath(t)
	list := records(500)
	edited(t, path, func(tx *bbolt.Tx) error {
		records, err := tx.CreateBucket(recordsBucket)
		if err != nil {
			return err
		}
		for _, r := range list {
			key := r.Key.Bytes()
			if err := records.Put(key[:], r.AppendValue(nil)); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return errors.Join(meta.Put(formatKey, []byte{1}), meta.Put(cursorKey, []byte("position")))
	})
	for range 2 {
		s := mustOpen(t, path)
		wants(t, s, list...)
		wantsCursor(t, s, []byte("position"))
		list = append(list, record(len(list)))
		mustPut(t, s, list...)
		mustClose(t, s)
		edited(t, path, func(tx *bbolt.Tx) error {
			if got := tx.Bucket(metaBucket).Get(formatKey); !bytes.Equal(got, []byte{2}) {
				t.Errorf("the format is %v, want 2", got)
			}
			return nil
		})
	}
}

// An entry that cannot be read is not passed over.
func TestDamagedJournal(t *testing.T) {
	for name, change := range map[string]func(part *bbolt.Bucket, number []byte) error{
		"cut off":      func(part *bbolt.Bucket, n []byte) error { return part.Put(n, part.Get(n)[:32]) },
		"empty":        func(part *bbolt.Bucket, n []byte) error { return part.Put(n, nil) },
		"short number": func(part *bbolt.Bucket, n []byte) error { return part.Put([]byte("\x00"), part.Get(n)) },
		"long number":  func(part *bbolt.Bucket, n []byte) error { return part.Put(make([]byte, 9), part.Get(n)) },
		"number zero":  func(part *bbolt.Bucket, n []byte) error { return part.Put(make([]byte, 8), part.Get(n)) },
		"a bucket":     func(part *bbolt.Bucket, _ []byte) error { _, err := part.CreateBucket([]byte("12345678")); return err },
	} {
		for part, journal := range journalBuckets {
			path, _ := bothParts(t)
			edited(t, path, func(tx *bbolt.Tx) error {
				bucket := tx.Bucket(journal)
				number, _ := bucket.Cursor().First()
				return change(bucket, bytes.Clone(number))
			})
			if err := refused(t, path); !errors.Is(err, revocation.ErrCorrupt) {
				t.Errorf("part %d, %s: Open = %v, want ErrCorrupt", part, name, err)
			}
		}
	}
}

// A record that cannot be read is an error and never not found, wherever it stands.
func TestDamagedRecordInJournal(t *testing.T) {
	path := newPath(t)
	s := mustOpenWith(t, path, unmoved)
	mustPut(t, s, records(3)...)
	mustClose(t, s)
	edited(t, path, func(tx *bbolt.Tx) error {
		key := record(1).Key.Bytes()
		number := binary.BigEndian.AppendUint64(nil, 100)
		for _, journal := range journalBuckets {
			if part := tx.Bucket(journal); part != nil {
				return part.Put(number, append(key[:], "\x01 no record"...))
			}
		}
		return errors.New("nothing is in the journal")
	})
	for _, limits := range []limits{unmoved, manyLimits["tiny limits"]} {
		s := mustOpenWith(t, path, limits)
		corrupt := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, revocation.ErrCorrupt) {
				t.Errorf("%s = %v, want ErrCorrupt", what, err)
			}
		}
		_, err := s.Get(record(1).Key)
		corrupt("Get", err)
		corrupt("Put", tryPut(s, record(1)))
		corrupt("Put, lazily", tryPutLazily(s, nil, record(1)))
		corrupt("Scan", s.Scan(t.Context(), revocation.Key{}, func(revocation.Record) error { return nil }))
		_, err = s.Drop(t.Context(), t0.Add(24*time.Hour))
		corrupt("Drop", err)
		mustPut(t, s, record(4))
		wants(t, s, record(0), record(2), record(4))
		mustClose(t, s)
	}
}
