package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// replay reads the journal of a file that was opened: the frames that have not been
// moved, in the order of their numbers, wherever they are. It ends with the first that
// is not whole: its commit was not answered, unless something later shows that it was.
type replay struct {
	store  *Store
	frames *bbolt.Bucket // nil if there is none
	rest   [2][]byte     // what has not been read of the rooms
}

func (s *Store) load(tx *bbolt.Tx) (err error) {
	meta := tx.Bucket(metaBucket)
	s.recent.cursor = bytes.Clone(meta.Get(cursorKey))
	j := &s.journal
	if j.last, err = numberOf(meta, movedKey); err != nil {
		return err
	}
	least, err := numberOf(meta, lastKey)
	if err != nil {
		return err
	}
	r := replay{store: s, frames: tx.Bucket(framesBucket)}
	for i := range r.rest {
		if j.rooms[i], r.rest[i], err = s.findRoom(tx, roomBuckets[i]); err != nil {
			return err
		}
		r.rest[i] = r.rest[i][roomID:]
	}
	j.noted = least
	for more := true; more; {
		if more, err = r.next(); err != nil {
			return err
		}
	}
	if j.last < least || r.hasMore() {
		return fmt.Errorf("%w: frame %d of the journal is missing", revocation.ErrCorrupt, j.last+1)
	}
	return nil
}

// next reads the next frame, if it is there.
func (r *replay) next() (found bool, err error) {
	number := r.store.journal.last + 1
	if r.frames != nil {
		if encoded := r.frames.Get(binary.BigEndian.AppendUint64(nil, number)); encoded != nil {
			n, body, length := frameAt(encoded, bucketSeed)
			if n != number || length != len(encoded) {
				return false, fmt.Errorf("%w: frame %d of the journal is damaged", revocation.ErrCorrupt, number)
			}
			return true, r.enter(body)
		}
	}
	for i, rest := range r.rest {
		if numberAt(rest) != number { // without the checksum of an old one, each time
			continue
		}
		n, body, length := frameAt(rest, r.store.journal.rooms[i].seed)
		if n != number {
			continue
		}
		if err := r.into(i); err != nil {
			return false, err
		}
		r.rest[i] = rest[length:]
		r.store.journal.rooms[i].used += length
		return true, r.enter(body)
	}
	return false, nil
}

// into has the part grow whose room has the next frame.
func (r *replay) into(i int) error {
	j := &r.store.journal
	switch {
	case i == j.growing:
	case j.rooms[j.growing].isEmpty():
		j.growing = i
	case r.store.recent.isMoving():
		return fmt.Errorf("%w: the parts of the journal are mixed", revocation.ErrCorrupt)
	default:
		r.store.turn()
	}
	return nil
}

// enter enters the next frame.
func (r *replay) enter(body []byte) error {
	f, err := parseBody(body)
	if err != nil {
		return err
	}
	r.store.journal.last++
	r.store.journal.grown += 1 + len(f.entries)
	r.store.recent.keep(f.entries, f.cursor)
	return nil
}

// hasMore says whether there is a frame behind one that is not: that was damaged after
// it had become durable. Of the last ones nobody could tell.
func (r *replay) hasMore() bool {
	last := r.store.journal.last
	if r.frames != nil {
		if k, _ := r.frames.Cursor().Last(); k != nil && (len(k) != 8 || binary.BigEndian.Uint64(k) > last) {
			return true
		}
	}
	const many = 1 << 24 // more frames than there can be
	for i, rest := range r.rest {
		for ; len(rest) >= frameHeader; rest = rest[1:] {
			ahead := numberAt(rest) - last
			if ahead == 0 || ahead > many {
				continue
			}
			if n, _, _ := frameAt(rest, r.store.journal.rooms[i].seed); n > last {
				return true
			}
		}
	}
	return false
}
