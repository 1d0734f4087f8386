package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// unmoved are limits with which nothing is moved.
var unmoved = limits{
	batch: 1 << 20, late: 1 << 20, recent: 1 << 20, room: 1 << 18, rooms: 1 << 18,
	grown: 1 << 20, worth: 1 << 20, least: 1, most: 1,
}

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

// inFirstFormat makes a file of the first format.
func inFirstFormat(t *testing.T, path string, list []revocation.Record, cursor []byte) {
	t.Helper()
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
		return errors.Join(meta.Put(formatKey, firstFormat), meta.Put(cursorKey, cursor))
	})
}

// What was durable in the first format is in the second, which earlier versions refuse.
func TestFirstFormat(t *testing.T) {
	path := newPath(t)
	list := records(500)
	inFirstFormat(t, path, list, []byte("position"))
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

// flipped is a copy of a file in which a byte is another.
func flipped(t *testing.T, path string, at int64) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[at]++
	path = newPath(t)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// frames are where the frames of a store's rooms are in its file, in their order.
func frames(t *testing.T, s *Store) (list [][2]int64) {
	t.Helper()
	err := s.view(func(tx *bbolt.Tx) error {
		for _, i := range []int{1 - s.journal.growing, s.journal.growing} {
			r, content, err := s.findRoom(tx, roomBuckets[i])
			if err != nil {
				return err
			}
			for at := roomID; at < s.journal.rooms[i].used; {
				_, _, length := frameAt(content[at:], r.seed)
				list = append(list, [2]int64{r.at + int64(at), int64(length)})
				at += length
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A frame that was durable and cannot be read is not passed over, nor what follows it.
func TestDamagedJournal(t *testing.T) {
	path := newPath(t)
	s := mustOpenWith(t, path, unmoved)
	put := func(from int) {
		for i := range 4 {
			mustPut(t, s, record(from+i))
		}
	}
	put(0)
	s.writing.Lock()
	s.turn()
	s.writing.Unlock()
	put(4)
	where := frames(t, s)
	crashed := copyOpen(t, s)
	mustClose(t, s)
	if len(where) != 8 {
		t.Fatalf("there are %d frames, want 8", len(where))
	}
	for i, f := range where {
		for at := f[0]; at < f[0]+f[1]; at++ {
			s, err := open(t.Context(), flipped(t, crashed, at), DefaultLockTimeout, unmoved)
			if i < len(where)-1 {
				if !errors.Is(err, revocation.ErrCorrupt) {
					t.Fatalf("frame %d, byte %d: Open = %v, want ErrCorrupt", i, at-f[0], err)
				}
				continue
			}
			if err != nil { // as it would be if it had not been written before the crash
				t.Fatalf("the last frame, byte %d: Open = %v", at-f[0], err)
			}
			wants(t, s, records(7)...)
			if n := len(all(t, s)); n != 7 {
				t.Errorf("Scan finds %d records, want 7", n)
			}
			mustPut(t, s, record(7))
			mustClose(t, s)
			s = mustOpenWith(t, s.path, unmoved)
			wants(t, s, records(8)...)
			mustClose(t, s)
		}
	}
}

// What a crash left of a frame may end with whatever others had put into a record, though
// it looks like a frame that was durable.
func TestFrameInRecord(t *testing.T) {
	s := mustOpenWith(t, newPath(t), unmoved)
	mustPut(t, s, record(0))
	r := record(1)
	r.By = string((&frame{number: 100}).appendTo(nil, bucketSeed))
	mustPut(t, s, r)
	last := frames(t, s)[1]
	after := mustOpenWith(t, flipped(t, copyOpen(t, s), last[0]), unmoved)
	wants(t, after, record(0))
	mustPut(t, after, record(1))
	wants(t, mustOpenWith(t, copyOpen(t, after), unmoved), records(2)...)
}

// Frames go on in the other room once only, before what the first has is moved.
func TestMixedParts(t *testing.T) {
	s := mustOpenWith(t, newPath(t), unmoved)
	for i := range 3 {
		mustPut(t, s, record(i))
		s.writing.Lock()
		s.turn()
		s.writing.Unlock()
	}
	if err := refused(t, copyOpen(t, s)); !errors.Is(err, revocation.ErrCorrupt) {
		t.Errorf("Open = %v, want ErrCorrupt", err)
	}
}

// What is in a transaction cannot be without the frames before it, nor can the file of a
// store that was closed.
func TestJournalCutShort(t *testing.T) {
	for _, closed := range []bool{false, true} {
		s := mustOpenWith(t, newPath(t), unmoved)
		mustPut(t, s, record(0))
		mustPut(t, s, record(1))
		last := frames(t, s)[1]
		path := s.path
		if closed {
			mustClose(t, s)
		} else {
			err := s.write(func(*bbolt.Tx) (bool, error) { return true, nil }, func() {})
			if err != nil {
				t.Fatal(err)
			}
			path = copyOpen(t, s)
		}
		if err := refused(t, flipped(t, path, last[0])); !errors.Is(err, revocation.ErrCorrupt) {
			t.Errorf("Open = %v, want ErrCorrupt; closed: %t", err, closed)
		}
	}
}

// What is not as it should be around the frames.
func TestDamagedRooms(t *testing.T) {
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"no room":      func(tx *bbolt.Tx) error { return tx.DeleteBucket(roomBuckets[0]) },
		"an empty one": func(tx *bbolt.Tx) error { return tx.Bucket(roomBuckets[1]).Put(roomKey, nil) },
		"no key":       func(tx *bbolt.Tx) error { return tx.Bucket(roomBuckets[1]).Delete(roomKey) },
		"all is moved": func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(movedKey, number(1)) },
		"not a number": func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(movedKey, []byte("1")) },
		"nor this":     func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(lastKey, make([]byte, 9)) },
		"more":         func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(lastKey, number(100)) },
		"a gap":        func(tx *bbolt.Tx) error { return putFrame(tx, 100, (&frame{number: 100}).appendTo(nil, bucketSeed)) },
		"another's":    func(tx *bbolt.Tx) error { return putFrame(tx, 5, (&frame{number: 4}).appendTo(nil, bucketSeed)) },
		"no frame":     func(tx *bbolt.Tx) error { return putFrame(tx, 5, []byte("frame")) },
		"too long": func(tx *bbolt.Tx) error {
			return putFrame(tx, 5, append((&frame{number: 5}).appendTo(nil, bucketSeed), 0))
		},
	} {
		path := newPath(t)
		s := mustOpenWith(t, path, unmoved)
		for i := range 4 {
			mustPut(t, s, record(i))
		}
		mustClose(t, s)
		edited(t, path, change)
		if err := refused(t, path); !errors.Is(err, revocation.ErrCorrupt) {
			t.Errorf("%s: Open = %v, want ErrCorrupt", name, err)
		}
	}
}

// An empty cursor is one.
func TestEmptyCursor(t *testing.T) {
	s := mustOpenWith(t, newPath(t), unmoved)
	for _, cursor := range [][]byte{[]byte("one"), {}} {
		if err := s.Put(t.Context(), revocation.Batch{Cursor: cursor}); err != nil {
			t.Fatal(err)
		}
	}
	wantsCursor(t, mustOpenWith(t, copyOpen(t, s), unmoved), nil)
}

// Whatever a body is, it is read or an error.
func FuzzBody(f *testing.F) {
	for _, one := range []frame{{}, {cursor: []byte{}}, {cursor: []byte("position"), entries: []entry{{record(1).Key, "value"}, {record(2).Key, ""}}}} {
		_, body, _ := frameAt((&frame{1, one.cursor, one.entries}).appendTo(nil, bucketSeed), bucketSeed)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		one, err := parseBody(body)
		if err != nil {
			if !errors.Is(err, revocation.ErrCorrupt) {
				t.Errorf("parseBody = %v", err)
			}
			return
		}
		one.number = 1
		_, again, _ := frameAt(one.appendTo(nil, bucketSeed), bucketSeed)
		if other, err := parseBody(again); err != nil || !bytes.Equal(other.cursor, one.cursor) || !slices.Equal(other.entries, one.entries) {
			t.Errorf("it is read as %+v, and then as %+v, %v", one, other, err)
		}
	})
}

// A record that cannot be read is an error and never not found, wherever it stands.
func TestDamagedRecordInJournal(t *testing.T) {
	path := newPath(t)
	s := mustOpenWith(t, path, unmoved)
	mustPut(t, s, records(3)...)
	mustClose(t, s)
	edited(t, path, func(tx *bbolt.Tx) error {
		damaged := frame{number: 2, entries: []entry{{record(1).Key, "\x01 no record"}}}
		return putFrame(tx, 2, damaged.appendTo(nil, bucketSeed))
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
