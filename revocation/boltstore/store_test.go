package boltstore

import (
	"path/filepath"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "denylist.db")
		return func() (revocation.Store, error) { return Open(t.Context(), path, 0) }
	})
}
