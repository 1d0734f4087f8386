package clustertest

import (
	"context"
	"errors"
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
	f     *fixture
	path  string
	store *slowStore
	list  *revocation.Denylist

	settle, spread time.Duration // of Options
}

// maxOwed is how many records nodes remember to send again.
const maxOwed = 500

// slowStore is a store that can be slow to store, and with it the node's feed.
type slowStore struct {
	revocation.Store
	mu   sync.Mutex
	wait func() // called before each batch, unless nil
}

func (s *slowStore) setWait(wait func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait = wait
}

func (s *slowStore) Put(ctx context.Context, batch revocation.Batch) error {
	s.mu.Lock()
	wait := s.wait
	s.mu.Unlock()
	if wait != nil {
		wait()
	}
	return s.Store.Put(ctx, batch)
}

// node opens one more node, and waits until it is level.
func (f *fixture) node() *node {
	f.Helper()
	n := f.joining(300*time.Millisecond, 300*time.Millisecond)
	n.isLevel()
	return n
}

// joining opens one more node, and does not wait for it.
func (f *fixture) joining(settle, spread time.Duration) *node {
	f.Helper()
	n := &node{f: f, path: filepath.Join(f.TempDir(), "denylist.db"), settle: settle, spread: spread}
	n.open()
	f.Cleanup(n.close)
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
	n.store = &slowStore{Store: store}
	if n.list, err = revocation.Open(context.Background(), n.store, revocation.Options{CacheBytes: 1 << 20}); err != nil {
		n.f.Fatal(err)
	}
	n.join()
}

// join makes the denylist part of the cluster.
func (n *node) join() {
	n.f.Helper()
	engine, err := n.f.place.Open()
	if err != nil {
		n.f.Fatal(err)
	}
	silence := min(max(3*time.Second, 2*n.settle), 10*time.Second)
	n.Node = cluster.Join(n.list, engine, cluster.Options{
		Beat: 50 * time.Millisecond, Silence: silence, Retry: 300 * time.Millisecond, Spread: n.spread,
		Settle: n.settle, Owed: maxOwed,
	})
}

// leave leaves the denylist on its own.
func (n *node) leave() {
	if err := n.Close(); err != nil {
		n.f.Errorf("closing a node: %v", err)
	}
}

func (n *node) close() {
	n.leave()
	if err := n.list.Close(); err != nil {
		n.f.Errorf("closing a denylist: %v", err)
	}
}

// isLevel waits until the node knows all that the cluster knows now.
func (n *node) isLevel() {
	n.f.Helper()
	defer func() {
		if n.f.Failed() {
			n.f.Logf("the node is %+v", n.State())
		}
	}()
	asked := time.Now()
	n.f.eventually("the node is level", func() bool {
		since := time.Since(asked) // before the state, or word of before could count
		s := n.State()
		return s.Level && s.Word && s.Staleness < since
	})
}

// hasCursor waits until the node has one in its store, or none.
func (n *node) hasCursor(want bool) {
	n.f.Helper()
	n.f.eventually("a cursor is kept, or void", func() bool {
		cursor, err := n.list.Cursor()
		return err == nil && (cursor != nil) == want
	})
}

// snapshots is how often all had to be delivered, for whatever reason.
func snapshots(s cluster.State) (sum int) {
	for _, n := range s.Snapshots {
		sum += n
	}
	return sum
}

func (n *node) check(r revocation.Record) revocation.Outcome {
	return n.list.Check(&r.Key).Outcome
}

func (n *node) knows(list ...revocation.Record) bool {
	return !slices.ContainsFunc(list, func(r revocation.Record) bool { return n.check(r) != revocation.Revoked })
}

// tryAgain has a node decide something, which succeeds, if not at once where the machine
// is slow.
func tryAgain(decide func() error) (err error) {
	for range 10 {
		if err = decide(); !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return err
}

func (n *node) revoke(list ...revocation.Record) {
	n.f.Helper()
	if err := tryAgain(func() error { return n.list.Revoke(n.f.Context(), list...) }); err != nil {
		n.f.Fatalf("Revoke: %v", err)
	}
}

func (n *node) restore(key revocation.Key) {
	n.f.Helper()
	if err := tryAgain(func() error { _, err := n.list.Restore(n.f.Context(), key, operator); return err }); err != nil {
		n.f.Fatalf("Restore: %v", err)
	}
}

func (n *node) enforce(key revocation.Key) {
	n.f.Helper()
	if err := tryAgain(func() error { _, err := n.list.Enforce(n.f.Context(), key, operator); return err }); err != nil {
		n.f.Fatalf("Enforce: %v", err)
	}
}

var operator = revocation.Decision{By: "operator"}

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
