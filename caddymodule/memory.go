package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/memorystore"
)

func init() { caddy.RegisterModule(new(MemoryStore)) }

// MemoryStore keeps the denylist in memory only, for nodes without a disk. It needs
// a cluster, which alone makes revocations durable: while it is away they are
// answered 503, and enforced on this node until it ends. After a restart the node
// gets everything from the cluster, and is not ready before.
type MemoryStore struct{}

// CaddyModule returns the Caddy module information.
func (*MemoryStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "token_revocation.stores.memory",
		New: func() caddy.Module { return new(MemoryStore) },
	}
}

// Resource is the same for all: a reload keeps the denylist.
func (*MemoryStore) Resource() string { return "memory" }

// Open makes an empty store.
func (*MemoryStore) Open(context.Context) (revocation.Store, error) { return memorystore.New().Open() }

// NeedsCluster says that the store forgets what it knows when Caddy ends.
func (*MemoryStore) NeedsCluster() {}

// UnmarshalCaddyfile sets the store up from its part of the global option:
//
//	store memory
func (*MemoryStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the module
	if d.NextArg() {
		return d.Errf("unexpected %q after store memory", d.Val())
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("store memory has no option %q", d.Val())
	}
	return nil
}

var (
	_ StoreModule           = (*MemoryStore)(nil)
	_ NeedsCluster          = (*MemoryStore)(nil)
	_ caddyfile.Unmarshaler = (*MemoryStore)(nil)
)
