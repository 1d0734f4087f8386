package clustertest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
)

// copied is a copy of the node's file as it is now: what kill -9 would leave.
func (n *node) copied() (path string) {
	n.f.Helper()
	read := func() []byte {
		b, err := os.ReadFile(n.path)
		if err != nil {
			n.f.Fatal(err)
		}
		return b
	}
	file := read()
	n.f.eventually("the file is not being written", func() bool {
		before := file
		file = read()
		return bytes.Equal(file, before)
	})
	path = filepath.Join(n.f.TempDir(), "denylist.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		n.f.Fatal(err)
	}
	return path
}

// inFile returns what a node's file has of a key, and whether it has a cursor.
func (f *fixture) inFile(path string, key revocation.Key) (r revocation.Record, found, cursor bool) {
	f.Helper()
	store, err := boltstore.Open(context.Background(), path, 0)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	r, err = store.Get(key)
	if err != nil && !errors.Is(err, revocation.ErrNotFound) {
		f.Fatal(err)
	}
	kept, cursorErr := store.Cursor()
	if cursorErr != nil {
		f.Fatal(cursorErr)
	}
	return r, err == nil, len(kept) > 0
}

// following are two nodes, of which the second has received what the first revoked, and
// has a cursor that stands for it.
func (f *fixture) following(r revocation.Record) []*node {
	f.Helper()
	nodes := f.nodes(2)
	nodes[0].revoke(r)
	f.wants(nodes, r)
	nodes[1].hasCursor(true)
	return nodes
}

// nodesAnswered asserts that what a node has answered with success is in its own file
// by then, also what it found to be so already, of another node and a moment ago.
func nodesAnswered(f *fixture) {
	nodes := f.nodes(2)
	for i := range 20 {
		r := record(i)
		one, other := nodes[i%2], nodes[1-i%2]
		wants := func(n *node, effect revocation.Effect) {
			f.Helper()
			if got, found, _ := f.inFile(n.copied(), r.Key); !found || got.Effect != effect {
				f.Fatalf("a node said that a record is %s, and has %s in its file (found %t)", effect, got.Effect, found)
			}
		}
		one.revoke(r)
		wants(one, revocation.Refuse)
		f.wants(nodes, r)
		other.enforce(r.Key)
		wants(other, revocation.Refuse)
		one.restore(r.Key)
		wants(one, revocation.Restored)
		f.eventually("what was restored passes", func() bool { return other.check(r) == revocation.Clear })
		other.restore(r.Key)
		wants(other, revocation.Restored)
	}
}

// nodesAskedTwice has a node asked for the very record that is coming in from another:
// that it came is no answer, as it is not in the file. Its own is.
func nodesAskedTwice(f *fixture) {
	nodes := f.following(record(1))
	one, other := nodes[0], nodes[1]
	feed := f.follow(f.open(), nil)
	var puts atomic.Int64
	storing, first, rest := make(chan struct{}), make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(rest) })
	f.Cleanup(release)
	other.store.setWait(func() {
		if puts.Add(1) > 1 {
			<-rest
			return
		}
		close(storing)
		<-first
	})
	one.revoke(record(0))
	<-storing
	answered := make(chan error, 1)
	go func() { answered <- other.list.Apply(f.Context(), record(0)) }()
	f.eventually("the record is in the feed twice", func() bool { return feed.count() > 2 })
	close(first)
	f.wants(nodes, record(0))
	select {
	case err := <-answered:
		f.Fatalf("Apply = %v before its own record came by", err)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if err := <-answered; err != nil {
		f.Fatalf("Apply: %v", err)
	}
	if _, found, _ := f.inFile(other.copied(), record(0).Key); !found {
		f.Error("a node said that it has a record, and does not have it in its file")
	}
}

// nodesKilled kills a node that has received what is not in its file yet. It is told
// that again, with what it has missed, and knows all as soon as it says that it is
// level.
func nodesKilled(f *fixture) {
	nodes := f.following(record(0))
	one, other := nodes[0], nodes[1]
	next, left := 0, ""
	f.eventually("something is known that is not in the file yet", func() bool {
		next++
		r := record(next)
		one.revoke(r)
		f.wants(nodes, r)
		left = other.copied()
		_, found, cursor := f.inFile(left, r.Key)
		return !found && cursor
	})
	other.close()
	one.revoke(records(next+1, next+20)...)
	other.path = left
	other.open()
	f.eventually("the node is level", func() bool {
		level := other.State().Level
		if level && !other.knows(records(0, next+20)...) {
			f.Fatal("a node says that it is level, and lets pass what was revoked")
		}
		return level
	})
	if s := other.State(); snapshots(s) > 0 || s.Received < 20 {
		f.Errorf("the node was not just told again what it lacks: %+v", s)
	}
}
