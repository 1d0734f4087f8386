package boltstore

import (
	"errors"
	"os"
	"testing"

	"go.etcd.io/bbolt"
)

// edited changes the file of a store that is closed.
func edited(t testing.TB, path string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// copyOpen copies the file of an open store, as it would be after a crash between two
// commits.
func copyOpen(t testing.TB, s *Store) (path string) {
	t.Helper()
	s.writing.Lock()
	defer s.writing.Unlock()
	content, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	path = newPath(t)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// intact asserts that the pages of a file that nobody uses are what bbolt expects.
func intact(t testing.TB, path string) {
	t.Helper()
	edited(t, path, func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
}
