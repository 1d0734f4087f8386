package caddymodule

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/natscluster"
)

// However short max_staleness is, several heartbeats have to be late for a node to
// be stale.
func TestBeat(t *testing.T) {
	for staleness, want := range map[time.Duration]time.Duration{
		defaultMaxStaleness: time.Second,
		4 * time.Second:     time.Second,
		time.Second:         250 * time.Millisecond,
		minMaxStaleness:     125 * time.Millisecond,
	} {
		if got := (&App{MaxStaleness: caddy.Duration(staleness)}).beat(); got != want {
			t.Errorf("max_staleness %s: there is word every %s, want %s", staleness, got, want)
		}
	}
}

// From when the last configuration lets go of its cluster, what is still under way is
// promised to nobody: this node will be gone, and the others would never hear of it.
func TestLeave(t *testing.T) {
	a := &App{
		MaxStaleness: caddy.Duration(defaultMaxStaleness), Leeway: new(caddy.Duration), logger: zap.NewNop(), key: t.Name(),
		cluster: &NATSCluster{config: natscluster.Config{URLs: []string{"nats://127.0.0.1:1"}}},
	}
	store, err := boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "denylist.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := revocation.Open(t.Context(), store, revocation.Options{CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	a.shared = acquire(a.key)
	defer func() { _ = release(a.key) }()
	a.shared.loaded.Store(list)
	a.clusterKey = t.Name()
	a.member, _ = joinedTo(a.clusterKey)
	if _, err := a.joined(list, nil); err != nil {
		t.Fatal(err)
	}
	revoke := func() error {
		key := revocation.Key{Kind: revocation.KindToken, Digest: [32]byte{1}}
		return list.Revoke(t.Context(), revocation.Record{Key: key, Revoked: time.Now(), Expires: time.Now().Add(time.Hour)})
	}
	if err := revoke(); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("with the cluster away, Revoke = %v; want ErrAway", err)
	}
	if err := a.leave(); err != nil {
		t.Fatal(err)
	}
	if err := revoke(); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("after it was left, Revoke = %v; want ErrAway", err)
	}
}
