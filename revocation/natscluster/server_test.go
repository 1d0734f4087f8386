package natscluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// startServer runs a NATS server in this process.
func startServer(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

type node struct {
	*cluster.Node
	list *revocation.Denylist
}

func join_(t testing.TB, url string, path string) *node {
	t.Helper()
	store, err := boltstore.Open(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := revocation.Open(t.Context(), store, revocation.Options{CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := Open(Config{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{cluster.Join(list, engine, cluster.Options{Beat: 200 * time.Millisecond, Tell: func(e cluster.Event) { t.Logf("%+v", e) }}), list}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := list.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) waitLevel(t testing.TB) {
	t.Helper()
	for range 2000 {
		if n.State().Level {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not level: %+v", n.State())
}

func record(i int) revocation.Record {
	return revocation.Record{
		Key:     revocation.Key{Kind: revocation.KindToken, Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))},
		Revoked: time.Now(), Expires: time.Now().Add(time.Hour), By: "client",
	}
}

func (n *node) wants(t testing.TB, i int, want revocation.Outcome) time.Duration {
	t.Helper()
	began := time.Now()
	key := record(i).Key
	for range 20000 {
		if n.list.Check(&key).Outcome == want {
			return time.Since(began)
		}
		time.Sleep(200 * time.Microsecond)
	}
	t.Fatalf("record %d is not known: %+v", i, n.State())
	return 0
}

func TestFirst(t *testing.T) {
	s := startServer(t, t.TempDir(), -1)
	dir := t.TempDir()
	var nodes []*node
	for i := range 3 {
		nodes = append(nodes, join_(t, s.ClientURL(), filepath.Join(dir, string(rune('a'+i)))))
	}
	for _, n := range nodes {
		n.waitLevel(t)
	}
	for i := range 20 {
		if err := nodes[i%3].list.Revoke(context.Background(), record(i)); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			t.Log(n.wants(t, i, revocation.Revoked))
		}
	}
	for _, n := range nodes {
		t.Logf("%+v", n.State())
	}
}
