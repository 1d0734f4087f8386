package boltstore

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// room is where frames stand one behind the other: a value of the database, alone in
// its bucket, so that bbolt never moves it while nothing is put there, and never looks
// into it. All of it has been written already, so that to write there again changes
// nothing else of the file: to make that durable takes one flush, of a few pages. A
// transaction takes two, and mostly makes the file longer.
type room struct {
	at   int64 // where it begins in the file
	size int
	used int
	seed uint32 // of its frames
}

var (
	roomBuckets = [2][]byte{[]byte("journal0"), []byte("journal1")}
	roomKey     = []byte("room")
)

// roomID is the number of random bytes that a room begins with: by them it is found in
// the file, and from them its frames have their seed.
const roomID = 16

func (r *room) empty()             { r.used = roomID }
func (r *room) isEmpty() bool      { return r.used == roomID }
func (r *room) fits(b []byte) bool { return len(b) <= r.size-r.used }

// isCramped says whether it is time to move what it has.
func (r *room) isCramped() bool { return 2*r.used > r.size }

// isFull says whether little more fits.
func (r *room) isFull() bool { return 8*(r.size-r.used) < r.size }

// makeRoom makes a room in place of the one before, if there was one.
func makeRoom(tx *bbolt.Tx, bucket []byte, size int) error {
	b, err := tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	content := make([]byte, max(size, tx.DB().Info().PageSize)) // or bbolt would keep it beside others
	_, _ = rand.Read(content[:roomID])
	return b.Put(roomKey, content)
}

// findRoom finds out where a room is, and returns it, empty, with its content.
func (s *Store) findRoom(tx *bbolt.Tx, bucket []byte) (r room, content []byte, err error) {
	if b := tx.Bucket(bucket); b != nil {
		content = b.Get(roomKey)
		r.at = int64(b.Root()) * int64(s.db.Info().PageSize)
	}
	if len(content) < roomID {
		return r, nil, fmt.Errorf("%w: the journal has no room", revocation.ErrCorrupt)
	}
	var front [128]byte // of the bucket's page, with little before the value
	if _, err := s.file.ReadAt(front[:], r.at); err != nil {
		return r, nil, err
	}
	before := bytes.Index(front[:], content[:roomID])
	if before < 0 {
		return r, nil, fmt.Errorf("%w: the journal's room is not where it should be", revocation.ErrCorrupt)
	}
	r.at += int64(before)
	r.size, r.seed = len(content), crc32.Checksum(content[:roomID], castagnoli)
	r.empty()
	return r, content, nil
}

// vacate has a room be empty again, or another in place of it.
func (s *Store) vacate(i int, another bool) error {
	s.journal.rooms[i].empty()
	if !another {
		return nil
	}
	return s.view(func(tx *bbolt.Tx) (err error) {
		s.journal.rooms[i], _, err = s.findRoom(tx, roomBuckets[i])
		return err
	})
}
