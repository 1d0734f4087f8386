package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// journal is where records stand in the order in which they came. A digest can be
// anywhere among the records, so that each would cost a commit pages of its own;
// appended they share one. It has two parts, each with a room: while one is moved, the
// other grows. A commit that also changes records in place has its frame in a bucket,
// so that both become durable at once; so has one that does not fit.
type journal struct {
	rooms   [2]room
	growing int    // the part to which is appended
	grown   int    // frames and entries of it, also those that later ones replace
	last    uint64 // number of the last frame
	noted   uint64 // that is in a transaction, too
	scratch []byte

	turned       uint64 // number of the last frame that is being moved
	turnedCursor []byte // that which counted then; nil if there was none

	late       []entry // which are not in the file yet
	lateCursor []byte  // unless that in the file is the last
	failed     bool    // the last write: what is put then is not late, so that its caller learns why
}

var (
	framesBucket = []byte("frames") // from numbers to frames that are not in a room
	// Numbers in the bucket meta.
	movedKey = []byte("moved") // of the last frame that has been moved
	lastKey  = []byte("last")  // of one that is there, the last when this was written
)

// bucketSeed is that of frames in the bucket: where they begin and end is known.
const bucketSeed = 0

// append makes a frame durable in the growing part's room. An error that wraps
// ErrNotStored says that it is not, whatever was written of it.
func (s *Store) append(encoded []byte) error {
	r := &s.journal.rooms[s.journal.growing]
	at := r.at + int64(r.used)
	if _, err := s.file.WriteAt(encoded, at); err != nil {
		if left := s.takeBack(encoded, at); left != nil {
			return errors.Join(err, left)
		}
		return fmt.Errorf("%w: %w", revocation.ErrNotStored, err)
	}
	if err := s.sync(); err != nil {
		return err
	}
	r.used += len(encoded)
	return nil
}

// takeBack has nothing be left of a frame that could be written in part only. What it
// lacks may be there by chance, as frames mostly end as empty rooms begin, with zeros; or
// may come with the next one, of which a crash leaves a part.
func (s *Store) takeBack(encoded []byte, at int64) error {
	var front [frameHeader]byte
	if _, err := s.file.ReadAt(front[:], at); err != nil {
		return err
	}
	if !bytes.Equal(front[:], encoded[:frameHeader]) {
		return nil // nothing was written
	}
	clear(front[:])
	if _, err := s.file.WriteAt(front[:], at); err != nil {
		return err
	}
	return s.sync()
}

// putFrame puts a frame into the bucket.
func putFrame(tx *bbolt.Tx, number uint64, encoded []byte) error {
	frames, err := tx.CreateBucketIfNotExists(framesBucket)
	if err != nil {
		return err
	}
	return frames.Put(binary.BigEndian.AppendUint64(nil, number), encoded)
}

// turn has what has grown moved, and the other part grow.
func (s *Store) turn() {
	s.recent.turn()
	j := &s.journal
	j.turned, j.turnedCursor = j.last, s.recent.keptCursor()
	j.growing, j.grown = 1-j.growing, 0
}

// moved says that all has been moved that was to be.
func (s *Store) moved(tx *bbolt.Tx) error {
	j := &s.journal
	if frames := tx.Bucket(framesBucket); frames != nil {
		c := frames.Cursor()
		for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) <= j.turned; k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	meta := tx.Bucket(metaBucket)
	if j.turnedCursor != nil {
		if err := meta.Put(cursorKey, j.turnedCursor); err != nil {
			return err
		}
	}
	return putNumber(meta, movedKey, j.turned)
}

func putNumber(b *bbolt.Bucket, key []byte, number uint64) error {
	return b.Put(key, binary.BigEndian.AppendUint64(nil, number))
}

// numberOf reads a number, 0 if there is none.
func numberOf(b *bbolt.Bucket, key []byte) (uint64, error) {
	v := b.Get(key)
	switch len(v) {
	case 0:
		return 0, nil
	case 8:
		return binary.BigEndian.Uint64(v), nil
	}
	return 0, fmt.Errorf("%w: %s is no number", revocation.ErrCorrupt, key)
}
