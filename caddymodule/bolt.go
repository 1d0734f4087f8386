package caddymodule

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
)

func init() { caddy.RegisterModule(new(BoltStore)) }

// BoltStore keeps the denylist in one file on a local disk. The file is locked
// while Caddy runs: no two processes can share one. It never shrinks, but the
// room of expired records is used again.
type BoltStore struct {
	// Path of the file. It and its directory are made if they do not exist.
	// Placeholders are allowed. Default: `token_revocation/denylist.db` in
	// Caddy's data directory.
	Path string `json:"path,omitempty"`

	path string
}

// CaddyModule returns the Caddy module information.
func (*BoltStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "token_revocation.stores.bolt",
		New: func() caddy.Module { return new(BoltStore) },
	}
}

// Provision finds out which file is meant. It does not touch it.
func (b *BoltStore) Provision(caddy.Context) error {
	path, err := caddy.NewReplacer().ReplaceOrErr(b.Path, true, true)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "token_revocation", "denylist.db")
	}
	if path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	b.path = withoutLinks(path)
	return nil
}

// withoutLinks resolves the symbolic links in a path, of which the last parts
// need not exist yet: two ways to the same file must be the same resource, also
// before it is there.
func withoutLinks(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(withoutLinks(dir), filepath.Base(path))
}

// Resource is the absolute path of the file.
func (b *BoltStore) Resource() string { return b.path }

// Open opens the file, and waits a few seconds for another process to let go
// of it, as on a restart.
func (b *BoltStore) Open(ctx context.Context) (revocation.Store, error) {
	store, err := boltstore.Open(ctx, b.path, boltstore.DefaultLockTimeout)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// UnmarshalCaddyfile sets the store up from its part of the global option:
//
//	store bolt [<path>]
func (b *BoltStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the module
	if d.NextArg() {
		b.Path = d.Val()
		if b.Path == "" {
			return d.Err("the path of the store is empty")
		}
	}
	if d.NextArg() {
		return d.Errf("unexpected %q after the path of the store", d.Val())
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("store bolt has no option %q", d.Val())
	}
	return nil
}

var (
	_ StoreModule           = (*BoltStore)(nil)
	_ caddy.Provisioner     = (*BoltStore)(nil)
	_ caddyfile.Unmarshaler = (*BoltStore)(nil)
)
