package caddymodule

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// One file is one resource, before it exists and after, whichever symbolic links
// lead to it: else a reload would open it a second time.
func TestResourceIsTheFile(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	resource := func() string {
		t.Helper()
		b := &BoltStore{Path: filepath.Join(dir, "link", "new", "deep", "denylist.db")}
		if err := b.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return b.Resource()
	}
	want := filepath.Join(dir, "new", "deep", "denylist.db")
	if got := resource(); got != want {
		t.Errorf("before it exists: %s, want %s", got, want)
	}
	if err := os.MkdirAll(filepath.Dir(want), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := resource(); got != want {
		t.Errorf("once it exists: %s, want %s", got, want)
	}
}
