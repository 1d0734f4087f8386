package boltstore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// A transaction that reads keeps bbolt from reusing pages, and one that writes
// keeps revocations waiting: both are short.
const (
	scanChunk = 50_000
	dropChunk = 500
)

// Scan calls f with every record from a key on, in order.
func (s *Store) Scan(ctx context.Context, from revocation.Key, f func(revocation.Record) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	first := from.Bytes()
	next := first[:]
	for next != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.view(func(tx *bbolt.Tx) (err error) {
			next, err = scan(tx, next, scanChunk, f)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scan visits at most n records and returns the key to go on with, nil at the end.
func scan(tx *bbolt.Tx, from []byte, n int, f func(revocation.Record) error) (next []byte, err error) {
	c := tx.Bucket(recordsBucket).Cursor()
	k, v := c.Seek(from)
	for ; k != nil && n > 0; k, v = c.Next() {
		key, err := revocation.ParseKey(k)
		if err != nil {
			return nil, err
		}
		r, err := revocation.ParseRecord(key, v)
		if err != nil {
			return nil, err
		}
		if err := f(r); err != nil {
			return nil, err
		}
		n--
	}
	if k == nil {
		return nil, nil
	}
	return append([]byte{}, k...), nil
}

// Drop removes what expires before a time.
func (s *Store) Drop(ctx context.Context, before time.Time) (dropped int, err error) {
	next := make([]byte, revocation.KeySize)
	for next != nil {
		n := 0
		if next, n, err = s.dropFrom(ctx, next, before); err != nil {
			return dropped, err
		}
		dropped += n
	}
	return dropped, nil
}

// dropFrom goes through one chunk and returns the key to go on with.
func (s *Store) dropFrom(ctx context.Context, from []byte, before time.Time) (next []byte, dropped int, err error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	var expired []revocation.Key
	err = s.view(func(tx *bbolt.Tx) (err error) {
		next, err = scan(tx, from, scanChunk, func(r revocation.Record) error {
			if r.Expires.Before(before) {
				expired = append(expired, r.Key)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for keys := range slices.Chunk(expired, dropChunk) {
		if err := ctx.Err(); err != nil {
			return nil, dropped, err
		}
		n, err := s.drop(keys, before)
		dropped += n
		if err != nil {
			return nil, dropped, err
		}
	}
	return next, dropped, ctx.Err()
}

// drop removes those of the keys that still expire before a time: a record may
// have been extended since it was seen.
func (s *Store) drop(keys []revocation.Key, before time.Time) (n int, err error) {
	err = s.write(func(tx *bbolt.Tx) (bool, error) {
		n = 0
		bucket := tx.Bucket(recordsBucket)
		for _, key := range keys {
			k := key.Bytes()
			value := bucket.Get(k[:])
			if value == nil {
				continue
			}
			r, err := revocation.ParseRecord(key, value)
			if err != nil {
				return false, err
			}
			if !r.Expires.Before(before) {
				continue
			}
			if err := bucket.Delete(k[:]); err != nil {
				return false, err
			}
			n++
		}
		return n > 0, nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// readAhead reads a file from front to back, which a disk does many times
// faster than what opening and scanning would ask of it: one page at a time.
func readAhead(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := f.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
