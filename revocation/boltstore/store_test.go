package boltstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/storetest"
)

func TestConformance(t *testing.T) {
	for name, limits := range manyLimits {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Open {
				path := newPath(t)
				return func() (revocation.Store, error) { return open(t.Context(), path, DefaultLockTimeout, limits) }
			})
		})
	}
}

// manyLimits have what is stored go all its ways: with tiny ones it is always being
// moved, and mostly too much for the journal.
var manyLimits = map[string]limits{
	"default limits": defaultLimits,
	"tiny limits":    {batch: 8, late: 8, recent: 16, grown: 4, worth: 1, least: 1, most: 2},
	"tiny rooms":     {batch: 64, late: 64, recent: 4096, grown: 4096, worth: 4096, least: 1, most: 2},
	"medium limits":  {batch: 64, late: 64, recent: 4096, room: 1 << 13, rooms: 1 << 16, grown: 256, worth: 1, least: 8, most: 64},
	"no limits":      {batch: 1 << 20, late: 1 << 20, recent: 1 << 20, room: 1 << 20, rooms: 1 << 20, grown: 1, worth: 1, least: 1, most: 1 << 20},
}

// Scan and Drop go through a file in chunks.
func TestChunks(t *testing.T) {
	const n = scanChunk + dropChunk + 2
	s := mustOpen(t, newPath(t))
	list := records(n)
	slices.SortFunc(list, func(a, b revocation.Record) int { return a.Key.Compare(b.Key) }) // bbolt likes that
	for i := range list {
		if i%2 == 0 {
			list[i].Expires = t0
		}
	}
	mustPut(t, s, list...)
	found := 0
	err := s.Scan(t.Context(), revocation.Key{}, func(revocation.Record) error { found++; return nil })
	if err != nil || found != n {
		t.Errorf("Scan found %d of %d: %v", found, n, err)
	}
	if dropped, err := s.Drop(t.Context(), t0.Add(time.Second)); err != nil || dropped != n/2 {
		t.Errorf("Drop = %d, %v; want %d", dropped, err, n/2)
	}
	for _, r := range list {
		if _, err := s.Get(r.Key); errors.Is(err, revocation.ErrNotFound) != r.Expires.Equal(t0) {
			t.Fatalf("after Drop, Get of a record that ends %s: %v", r.Expires, err)
		}
	}
}

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "denylist.db") }

func mustOpen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, 0)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func mustOpenWith(t testing.TB, path string, limits limits) *Store {
	t.Helper()
	s, err := open(t.Context(), path, DefaultLockTimeout, limits)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func record(i int) revocation.Record {
	return revocation.Record{
		Key: revocation.Key{
			Kind:   revocation.KindToken,
			Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))),
		},
		Revoked: t0,
		Expires: t0.Add(time.Hour),
		By:      "client",
	}
}

func records(n int) []revocation.Record {
	list := make([]revocation.Record, n)
	for i := range list {
		list[i] = record(i)
	}
	return list
}

func tryPut(s *Store, list ...revocation.Record) error {
	return s.Put(context.Background(), revocation.Batch{Records: list})
}

func mustPut(t testing.TB, s *Store, list ...revocation.Record) {
	t.Helper()
	if err := tryPut(s, list...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func tryPutLazily(s *Store, cursor []byte, list ...revocation.Record) error {
	return s.Put(context.Background(), revocation.Batch{Records: list, Cursor: cursor, Lazy: true})
}

func mustPutLazily(t testing.TB, s *Store, cursor []byte, list ...revocation.Record) {
	t.Helper()
	if err := tryPutLazily(s, cursor, list...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// wants asserts that each record is stored.
func wants(t testing.TB, s *Store, list ...revocation.Record) {
	t.Helper()
	for _, want := range list {
		if got, err := s.Get(want.Key); err != nil || got != want {
			t.Fatalf("Get(%s) = %+v, %v; want %+v", want.Key, got, err, want)
		}
	}
}

func wantsCursor(t testing.TB, s *Store, want []byte) {
	t.Helper()
	if got, err := s.Cursor(); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("Cursor = %q, %v; want %q", got, err, want)
	}
}

// notStored asserts that an error promises that nothing was stored.
func notStored(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, revocation.ErrNotStored) {
		t.Fatalf("Put = %v, want ErrNotStored", err)
	}
}
