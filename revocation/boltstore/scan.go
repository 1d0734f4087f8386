package boltstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// scanChunk is how many records are visited in one transaction: one that reads keeps
// bbolt from reusing pages.
const scanChunk = 50_000

// Scan calls f with every record from a key on, in order.
func (s *Store) Scan(ctx context.Context, from revocation.Key, f func(revocation.Record) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	// Before any transaction: what is moved in between is in both.
	recent := s.recent.from(from)
	first := from.Bytes()
	next := first[:]
	for next != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.view(func(tx *bbolt.Tx) (err error) {
			next, recent, err = scan(tx, recent, next, scanChunk, f)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scan visits at most n records, of those in place and of entries that count more. It
// returns the key to go on with, nil at the end, and the entries from there on.
func scan(tx *bbolt.Tx, recent []entry, from []byte, n int, f func(revocation.Record) error) (next []byte, rest []entry, err error) {
	v := visit{cursor: tx.Bucket(recordsBucket).Cursor(), left: n, f: f}
	v.key, v.value = v.cursor.Seek(from)
	for ; len(recent) > 0; recent = recent[1:] {
		k := recent[0].key.Bytes()
		if err := v.upTo(k[:]); err != nil {
			return nil, nil, err
		}
		if v.left == 0 {
			next = k[:]
			break
		}
		if bytes.Equal(v.key, k[:]) {
			v.key, v.value = v.cursor.Next()
		}
		if recent[0].value == "" {
			continue
		}
		if err := v.one(recent[0].key, []byte(recent[0].value)); err != nil {
			return nil, nil, err
		}
	}
	if err := v.upTo(nil); err != nil {
		return nil, nil, err
	}
	if v.key != nil && (next == nil || bytes.Compare(v.key, next) < 0) {
		next = append([]byte{}, v.key...)
	}
	return next, recent, nil
}

// visit is a walk through the records in place.
type visit struct {
	cursor     *bbolt.Cursor
	key, value []byte // where it is; nil at the end
	left       int    // records that may still be visited
	f          func(revocation.Record) error
}

// upTo visits what is below a key, or everything if that is nil.
func (v *visit) upTo(end []byte) error {
	for v.key != nil && v.left > 0 && (end == nil || bytes.Compare(v.key, end) < 0) {
		key, err := revocation.ParseKey(v.key)
		if err != nil {
			return err
		}
		if err := v.one(key, v.value); err != nil {
			return err
		}
		v.key, v.value = v.cursor.Next()
	}
	return nil
}

func (v *visit) one(key revocation.Key, value []byte) error {
	r, err := revocation.ParseRecord(key, value)
	if err != nil {
		return err
	}
	v.left--
	return v.f(r)
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
