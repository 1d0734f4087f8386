package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// The journal is where records stand in the order in which they came. A digest can
// be anywhere among the records, so that each would cost a commit a page of its own;
// appended they share a few. It has two parts: while one is moved, the other grows.
// Each is a bucket, from a number that counts up to a key and what stands for it.
var journalBuckets = [2][]byte{[]byte("journal0"), []byte("journal1")}

type journal struct {
	growing int    // the part to which is appended
	grown   int    // entries of it, also those that later ones replace
	last    uint64 // number of an entry

	late       []entry // which are not in the file yet
	lateCursor []byte  // unless that in the file is the last
	failed     bool    // the last write: what is put then is not late, so that its caller learns why
}

// append appends entries to the file.
func (j *journal) append(tx *bbolt.Tx, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	bucket, err := tx.CreateBucketIfNotExists(journalBuckets[j.growing])
	if err != nil {
		return err
	}
	bucket.FillPercent = 1 // nothing will ever be between
	for i := range entries {
		key := entries[i].key.Bytes()
		j.last++
		if err := bucket.Put(binary.BigEndian.AppendUint64(nil, j.last), append(key[:], entries[i].value...)); err != nil {
			return err
		}
	}
	return nil
}

// load reads the journal of a file that was opened.
func (s *Store) load(tx *bbolt.Tx) error {
	s.recent.cursor = bytes.Clone(tx.Bucket(metaBucket).Get(cursorKey))
	first := [2]uint64{} // the number with which a part begins; 0 if there is none
	for part, name := range journalBuckets {
		if bucket := tx.Bucket(name); bucket != nil {
			k, _ := bucket.Cursor().First()
			if k == nil {
				continue
			}
			number, err := entryNumber(k)
			if err != nil {
				return err
			}
			first[part] = number
		}
	}
	older, newer := 0, 1
	if first[0] == 0 || first[1] != 0 && first[1] < first[0] {
		older, newer = newer, older
	}
	s.journal.growing = older
	if err := s.loadPart(tx, older); err != nil || first[newer] == 0 {
		return err
	}
	s.turn()
	return s.loadPart(tx, newer)
}

func (s *Store) loadPart(tx *bbolt.Tx, part int) error {
	bucket := tx.Bucket(journalBuckets[part])
	if bucket == nil {
		return nil
	}
	return bucket.ForEach(func(k, v []byte) error {
		number, err := entryNumber(k)
		if err != nil {
			return err
		}
		if len(v) < revocation.KeySize {
			return fmt.Errorf("%w: an entry of the journal is cut off", revocation.ErrCorrupt)
		}
		key, err := revocation.ParseKey(v[:revocation.KeySize])
		if err != nil {
			return err
		}
		s.recent.growing[key] = string(v[revocation.KeySize:])
		s.journal.last = number
		s.journal.grown++
		return nil
	})
}

// entryNumber reads the key of an entry.
func entryNumber(k []byte) (uint64, error) {
	if len(k) != 8 || binary.BigEndian.Uint64(k) == 0 {
		return 0, fmt.Errorf("%w: an entry of the journal has no number", revocation.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(k), nil
}

// turn has what has grown moved, and the other part grow.
func (s *Store) turn() {
	s.recent.turn()
	s.journal.growing, s.journal.grown = 1-s.journal.growing, 0
}
