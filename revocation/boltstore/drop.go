package boltstore

import (
	"context"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// dropChunk is how many records are dropped in one transaction: revocations wait for it.
const dropChunk = 500

// Drop removes what expires before a time.
func (s *Store) Drop(ctx context.Context, before time.Time) (dropped int, err error) {
	recent := s.recent.from(revocation.Key{}) // before any transaction, as for Scan
	next := make([]byte, revocation.KeySize)
	for next != nil {
		n := 0
		if next, recent, n, err = s.dropFrom(ctx, next, recent, before); err != nil {
			return dropped, err
		}
		dropped += n
	}
	return dropped, nil
}

// dropFrom goes through one chunk. It returns the key to go on with, and the entries
// from there on.
func (s *Store) dropFrom(ctx context.Context, from []byte, recent []entry, before time.Time) (next []byte, rest []entry, dropped int, err error) {
	if err := s.enter(); err != nil {
		return nil, nil, 0, err
	}
	defer s.leave()
	var expired []revocation.Key
	err = s.view(func(tx *bbolt.Tx) (err error) {
		next, rest, err = scan(tx, recent, from, scanChunk, func(r revocation.Record) error {
			if r.Expires.Before(before) {
				expired = append(expired, r.Key)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, nil, 0, err
	}
	for keys := range slices.Chunk(expired, dropChunk) {
		if err := ctx.Err(); err != nil {
			return nil, nil, dropped, err
		}
		n, err := s.drop(keys, before)
		dropped += n
		if err != nil {
			return nil, nil, dropped, err
		}
	}
	return next, rest, dropped, ctx.Err()
}

// drop removes those of the keys that still expire before a time: a record may
// have been extended since it was seen.
func (s *Store) drop(keys []revocation.Key, before time.Time) (n int, err error) {
	err = s.change(func(e *edit) error {
		n = 0
		e.inPlace = true
		for _, key := range keys {
			value, recent := e.get(key)
			if value == nil {
				continue
			}
			r, err := revocation.ParseRecord(key, value)
			if err != nil {
				return err
			}
			if !r.Expires.Before(before) {
				continue
			}
			if err := e.set(key, nil, recent); err != nil {
				return err
			}
			n++
		}
		return nil
	}, func() {})
	if err != nil {
		return 0, err
	}
	return n, nil
}
