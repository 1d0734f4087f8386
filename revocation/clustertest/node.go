package clustertest

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// node is a denylist in a file, and its part in the cluster.
type node struct {
	*cluster.Node
	f      *fixture
	path   string
	list   *revocation.Denylist
	engine *gate
}

// gate is an engine whose feed can be held up.
type gate struct {
	cluster.Engine
	mu   sync.Mutex
	hold func() // called before each delivery, unless nil
}

func (g *gate) setHold(hold func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = hold
}

func (g *gate) Sync(ctx context.Context, cursor []byte, to cluster.Receiver) error {
	return g.Engine.Sync(ctx, cursor, &held{to, g})
}

type held struct {
	cluster.Receiver
	gate *gate
}

func (h *held) Deliver(ctx context.Context, records []revocation.Record, cursor []byte) error {
	h.gate.mu.Lock()
	hold := h.gate.hold
	h.gate.mu.Unlock()
	if hold != nil {
		hold()
	}
	return h.Receiver.Deliver(ctx, records, cursor)
}

// node opens one more node, and waits until it is level.
func (f *fixture) node() *node {
	f.Helper()
	n := &node{f: f, path: filepath.Join(f.TempDir(), "denylist.db")}
	n.open()
	f.Cleanup(n.close)
	n.isLevel()
	return n
}

func (f *fixture) nodes(count int) (list []*node) {
	f.Helper()
	for range count {
		list = append(list, f.node())
	}
	return list
}

func (n *node) open() {
	n.f.Helper()
	store, err := boltstore.Open(context.Background(), n.path, 0)
	if err != nil {
		n.f.Fatal(err)
	}
	if n.list, err = revocation.Open(context.Background(), store, revocation.Options{CacheBytes: 1 << 20}); err != nil {
		n.f.Fatal(err)
	}
	engine, err := n.f.place.Open()
	if err != nil {
		n.f.Fatal(err)
	}
	n.engine = &gate{Engine: engine}
	n.Node = cluster.Join(n.list, n.engine, cluster.Options{
		Beat: 50 * time.Millisecond, Silence: 3 * time.Second, Retry: 300 * time.Millisecond, Spread: 300 * time.Millisecond,
	})
}

func (n *node) close() {
	if err := n.Close(); err != nil {
		n.f.Errorf("closing a node: %v", err)
	}
	if err := n.list.Close(); err != nil {
		n.f.Errorf("closing a denylist: %v", err)
	}
}

// isLevel waits until the node knows all that the cluster knows now.
func (n *node) isLevel() {
	n.f.Helper()
	asked := time.Now()
	n.f.eventually("the node is level", func() bool {
		s := n.State()
		return s.Level && s.Word && s.Staleness < time.Since(asked)
	})
}

func (n *node) check(r revocation.Record) revocation.Outcome {
	return n.list.Check(&r.Key).Outcome
}

func (n *node) knows(list ...revocation.Record) bool {
	return !slices.ContainsFunc(list, func(r revocation.Record) bool { return n.check(r) != revocation.Revoked })
}

// revoke has to succeed.
func (n *node) revoke(list ...revocation.Record) {
	n.f.Helper()
	if err := n.list.Revoke(n.f.Context(), list...); err != nil {
		n.f.Fatalf("Revoke: %v", err)
	}
}

// wants waits until all nodes refuse all records.
func (f *fixture) wants(nodes []*node, list ...revocation.Record) {
	f.Helper()
	for _, n := range nodes {
		f.eventually("a node knows what was revoked", func() bool { return n.knows(list...) })
	}
}

// keepRefusing asserts until the test ends that nodes which refuse records go on so.
func (f *fixture) keepRefusing(nodes []*node, list ...revocation.Record) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			for i, n := range nodes {
				if !n.knows(list...) {
					f.Errorf("node %d let something pass", i)
					return
				}
			}
			select {
			case <-end:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() { close(end); wg.Wait() })
}
