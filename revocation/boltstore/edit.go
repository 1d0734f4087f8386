package boltstore

import (
	"bytes"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// edit is what a transaction changes.
type edit struct {
	store    *Store
	tx       *bbolt.Tx
	records  *bbolt.Bucket
	walk     *bbolt.Cursor // through records
	inPlace  bool          // what the journal does not have yet is changed among the records
	appended []entry
	where    map[revocation.Key]int // in appended
	cursor   []byte                 // unless it stays
	placed   bool                   // something was changed in place
	framed   bool                   // there is a frame
}

func (s *Store) edit(tx *bbolt.Tx) *edit {
	records := tx.Bucket(recordsBucket)
	return &edit{
		store: s, tx: tx, records: records, walk: records.Cursor(),
		where: make(map[revocation.Key]int),
	}
}

// inPlace says whether a batch is changed in place: if it is large, as many of its
// records may share a page there, or if the journal is.
func (s *Store) inPlace(batch *revocation.Batch) bool {
	return len(batch.Records) > s.limits.batch || s.recent.len() >= s.limits.recent ||
		s.journal.rooms[s.journal.growing].isFull()
}

// put enters a batch.
func (e *edit) put(batch revocation.Batch) error {
	e.inPlace = e.store.inPlace(&batch)
	if !e.inPlace {
		e.appended = slices.Grow(e.appended, len(batch.Records))
	}
	var value []byte
	for _, record := range inOrder(batch.Records) {
		r := *record
		stored, recent := e.get(r.Key)
		if stored != nil {
			old, err := revocation.ParseRecord(r.Key, stored)
			if err != nil {
				return err
			}
			r = batch.Merged(old, r)
		}
		value = r.AppendValue(value[:0])
		if bytes.Equal(stored, value) {
			continue
		}
		if err := e.set(r.Key, value, recent); err != nil {
			return err
		}
	}
	if batch.Cursor != nil {
		e.cursor = bytes.Clone(batch.Cursor)
	}
	return nil
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

// get returns what is stored under a key, nil if nothing is, and whether the journal
// says so.
func (e *edit) get(key revocation.Key) (value []byte, recent bool) {
	var found string
	i, recent := e.where[key]
	if recent {
		found = e.appended[i].value
	} else {
		found, recent = e.store.recent.get(key)
	}
	switch {
	case !recent:
		k := key.Bytes()
		if found, value := e.walk.Seek(k[:]); bytes.Equal(found, k[:]) {
			return value, false
		}
		return nil, false
	case found == "":
		return nil, true
	}
	return []byte(found), true
}

// set stores a value under a key, or nothing if it is empty. Where the journal has the
// key, it is what counts.
func (e *edit) set(key revocation.Key, value []byte, recent bool) error {
	changed := entry{key, string(value)}
	if e.inPlace && !recent {
		e.placed = true
		return set(e.records, &changed)
	}
	e.where[key] = len(e.appended)
	e.appended = append(e.appended, changed)
	return nil
}

// frame is what has to be appended, behind what is late; empty if there is nothing. It
// is valid until the next.
func (e *edit) frame(seed uint32) []byte {
	j := &e.store.journal
	f := frame{number: j.last + 1, cursor: j.lateCursor, entries: slices.Concat(j.late, e.appended)}
	if e.cursor != nil {
		f.cursor = e.cursor
	}
	e.framed = f.cursor != nil || len(f.entries) > 0
	if !e.framed {
		return nil
	}
	j.scratch = f.appendTo(j.scratch[:0], seed)
	return j.scratch
}

// write puts what has to be appended beside what was changed in place. It says whether
// there was anything.
func (e *edit) write() (changed bool, err error) {
	encoded := e.frame(bucketSeed)
	if encoded == nil {
		return e.placed, nil
	}
	return true, putFrame(e.tx, e.store.journal.last+1, encoded)
}

// written has what was written seen.
func (e *edit) written() {
	j := &e.store.journal
	j.late, j.lateCursor = nil, nil
	if e.framed {
		j.last++
		j.grown++
	}
	e.seen()
}

// seen has what is appended seen.
func (e *edit) seen() {
	e.store.recent.keep(e.appended, e.cursor)
	e.store.journal.grown += len(e.appended)
}
