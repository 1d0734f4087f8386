package natscluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// node is a denylist that is part of a cluster.
type node struct {
	*cluster.Node
	t      testing.TB
	list   *revocation.Denylist
	engine *Engine
}

// newNode joins a cluster, and does not wait for it.
func newNode(t testing.TB, c Config) *node {
	t.Helper()
	return newNodeWith(t, c, cluster.Options{
		Beat: 50 * time.Millisecond, Silence: 3 * time.Second, Retry: 300 * time.Millisecond, Spread: 300 * time.Millisecond, Settle: 300 * time.Millisecond,
	})
}

func newNodeWith(t testing.TB, c Config, options cluster.Options) *node {
	t.Helper()
	return join(t, newList(t), c, options)
}

// join makes a denylist part of a cluster.
func join(t testing.TB, list *revocation.Denylist, c Config, options cluster.Options) *node {
	t.Helper()
	engine, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{cluster.Join(list, engine, options), t, list, engine}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing a node: %v", err)
		}
	})
	return n
}

// newList is a denylist of its own, in a file.
func newList(t testing.TB) *revocation.Denylist {
	t.Helper()
	store, err := boltstore.Open(context.Background(), filepath.Join(t.TempDir(), "denylist.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := revocation.Open(context.Background(), store, revocation.Options{CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := list.Close(); err != nil {
			t.Errorf("closing a denylist: %v", err)
		}
	})
	return list
}

// levelNode is one that knows all that the cluster knows.
func levelNode(t testing.TB, c Config) *node {
	t.Helper()
	n := newNode(t, c)
	n.isLevel()
	return n
}

func levelNodes(t testing.TB, count int, c Config) (nodes []*node) {
	t.Helper()
	for range count {
		nodes = append(nodes, levelNode(t, c))
	}
	return nodes
}

func (n *node) isLevel() {
	n.t.Helper()
	defer func() {
		if n.t.Failed() {
			n.t.Logf("the node is %+v", n.State())
		}
	}()
	asked := time.Now()
	eventually(n.t, "the node is level", func() bool {
		since := time.Since(asked) // before the state, or word of before could count
		s := n.State()
		return s.Level && s.Word && s.Staleness < since
	})
}

// snapshots is how often all had to be delivered, for whatever reason.
func snapshots(s cluster.State) (sum int) {
	for _, n := range s.Snapshots {
		sum += n
	}
	return sum
}

// tryRevoke succeeds, if not at once where the machine is slow, unless there is reason
// not to.
func (n *node) tryRevoke(list ...revocation.Record) (err error) {
	for range 10 {
		if err = n.list.Revoke(n.t.Context(), list...); !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return err
}

func (n *node) revoke(list ...revocation.Record) {
	n.t.Helper()
	if err := n.tryRevoke(list...); err != nil {
		n.t.Fatalf("Revoke: %v", err)
	}
}

func (n *node) knows(list ...revocation.Record) bool {
	return !slices.ContainsFunc(list, func(r revocation.Record) bool { return n.list.Check(&r.Key).Outcome != revocation.Revoked })
}

// wants waits until all nodes refuse all records.
func wants(t testing.TB, nodes []*node, list ...revocation.Record) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, "a node knows what was revoked", func() bool { return n.knows(list...) })
	}
}

func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	const patience = time.Minute // the machine may be slow; less than forget
	for end := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func record(i int) revocation.Record {
	return revocation.Record{
		Key: revocation.Key{
			Kind:   revocation.KindToken,
			Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))),
		},
		Revoked: time.Now(), Expires: time.Now().Add(6 * time.Hour), By: "client",
	}
}

func records(from, to int) (list []revocation.Record) {
	for i := from; i < to; i++ {
		list = append(list, record(i))
	}
	return list
}

// deleteStream deletes the stream as an operator would: so that one which was made anew
// meanwhile works.
func deleteStream(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	check(t, js.DeleteStream(t.Context(), DefaultStream))
	eventually(t, "the stream answers, if there is one again", func() bool {
		if answers(t, js) {
			return true
		}
		t.Log("the stream was made too soon")
		_ = js.DeleteStream(t.Context(), DefaultStream)
		return false
	})
}

// answers says whether the stream does, if there is one. One that was made while the
// server still deleted another of its name loses its files with that (seen of NATS 2.14):
// it takes nothing, and says nothing.
func answers(t testing.TB, js jetstream.JetStream) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := js.Publish(ctx, DefaultPrefix+".other", nil)
	return err == nil || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// operator is a connection of somebody who meddles with streams.
func operator(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	const patience = 30 * time.Second // the machine may be slow
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}
