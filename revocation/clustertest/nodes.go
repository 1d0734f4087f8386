package clustertest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// nodesAgree revokes on each node and takes back on another.
func nodesAgree(f *fixture) {
	nodes := f.nodes(3)
	for i := range 60 {
		r := record(i)
		nodes[i%3].revoke(r)
		f.wants(nodes, r)
	}
	for i := range 30 {
		nodes[(i+1)%3].restore(record(i).Key)
	}
	for i, n := range nodes {
		f.eventually("what was restored passes", func() bool {
			return !slices.ContainsFunc(records(0, 30), func(r revocation.Record) bool { return n.check(r) != revocation.Clear })
		})
		if !n.knows(records(30, 60)...) {
			f.Errorf("on node %d more was restored", i)
		}
	}
	nodes[0].revoke(records(0, 30)...) // and so counts beside the restoration
	f.wants(append(nodes, f.node()), records(0, 60)...)
}

// nodesAway cuts all off, revokes on each, and asserts that nothing is
// acknowledged, all is refused where it was revoked, and everywhere afterwards.
func nodesAway(f *fixture) {
	nodes := f.nodes(3)
	nodes[0].revoke(record(0))
	f.wants(nodes, record(0))
	f.place.Stop()
	for i := 1; i <= 12; i++ {
		n := nodes[i%3]
		if err := n.list.Revoke(f.Context(), record(i)); !errors.Is(err, revocation.ErrAway) {
			f.Fatalf("Revoke while away = %v; want ErrAway", err)
		}
		if !n.knows(record(i)) {
			f.Fatal("what was revoked while away passes where it was revoked")
		}
	}
	cut := time.Now()
	f.eventually("staleness grows", func() bool {
		return !slices.ContainsFunc(nodes, func(n *node) bool {
			s := n.State()
			return s.Level || s.Lost == "" || n.Fresh(400*time.Millisecond) || s.Staleness < time.Since(cut)
		}) && time.Since(cut) > 500*time.Millisecond
	})
	f.place.Start()
	f.wants(nodes, records(0, 13)...)
	f.eventually("nothing is owed any more", func() bool {
		return !slices.ContainsFunc(nodes, func(n *node) bool { return n.State().Owed > 0 })
	})
	for i, n := range nodes {
		n.isLevel()
		if s := n.State(); !n.Fresh(5*time.Second) || s.Lost != "" {
			f.Errorf("after the heal, node %d is %+v", i, s)
		}
	}
	f.wants([]*node{f.node()}, records(0, 13)...)
}

// nodesForgotten revokes more while cut off than a node remembers.
func nodesForgotten(f *fixture) {
	const count, each = maxOwed + 400, 100
	one, other := f.node(), f.node()
	f.place.Stop()
	if err := one.list.Revoke(f.Context(), record(0)); !errors.Is(err, revocation.ErrAway) {
		f.Fatalf("Revoke while away = %v; want ErrAway", err)
	}
	for i := 0; i < count; i += each {
		if err := one.list.Revoke(f.Context(), records(i, i+each)...); !errors.Is(err, revocation.ErrAway) {
			f.Fatalf("Revoke while away = %v; want ErrAway", err)
		}
	}
	f.place.Start()
	f.wants([]*node{one, other}, records(0, count)...)
}

// nodesClosedAway closes a node that owes something, which nobody remembers then: the
// others get it all the same. Where all was sent, a node has its cursor again.
func nodesClosedAway(f *fixture) {
	nodes := f.nodes(2)
	one, other := nodes[0], nodes[1]
	one.revoke(record(0))
	f.wants(nodes, record(0))
	for _, n := range nodes {
		n.hasCursor(true)
	}
	before := snapshots(other.State())
	f.place.Stop()
	for i, n := range nodes {
		if err := n.list.Revoke(f.Context(), record(1+i)); !errors.Is(err, revocation.ErrAway) {
			f.Fatalf("Revoke while away = %v; want ErrAway", err)
		}
		n.hasCursor(false)
	}
	one.close()
	one.open()
	f.place.Start()
	f.wants(nodes, records(0, 3)...)
	for _, n := range nodes {
		n.hasCursor(true)
	}
	if s := other.State(); snapshots(s) > before {
		f.Errorf("for what it remembered itself, a node had a snapshot: %+v", s)
	}
}

// nodesTruthful asserts that a node which says how stale it is knows all that was
// acknowledged before that, also while its feed is slow.
func nodesTruthful(f *fixture) {
	nodes := f.nodes(2)
	writer, slow := nodes[0], nodes[1]
	slow.store.setWait(func() { time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) })
	type acknowledged struct {
		record revocation.Record
		at     time.Time
	}
	var mu sync.Mutex
	var list []acknowledged
	var done atomic.Bool
	var wg sync.WaitGroup
	const count = 300
	wg.Go(func() {
		defer done.Store(true)
		for i := range count {
			if err := tryAgain(func() error { return writer.list.Revoke(f.Context(), record(i)) }); err != nil {
				f.Errorf("Revoke: %v", err)
				return
			}
			mu.Lock()
			list = append(list, acknowledged{record(i), time.Now()})
			mu.Unlock()
		}
	})
	var worst time.Duration
	for !done.Load() {
		at := time.Now()
		s := slow.State()
		known := at.Add(-s.Staleness)
		worst = max(worst, s.Staleness)
		mu.Lock()
		until, _ := slices.BinarySearchFunc(list, known, func(a acknowledged, at time.Time) int { return a.at.Compare(at) })
		due := slices.Clone(list[:until])
		mu.Unlock()
		for _, a := range due {
			if slow.check(a.record) != revocation.Revoked {
				f.Fatalf("a node that says it is %s behind lacks what was acknowledged %s ago", s.Staleness, at.Sub(a.at))
			}
		}
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
	f.Logf("the slow node was up to %s behind, and said so", worst)
	slow.store.setWait(nil)
	f.wants(nodes, records(0, count)...)
}

// nodesSlowStore asserts that a node whose store takes longer than it would wait
// for the engine does not blame the engine, and begin anew again and again.
func nodesSlowStore(f *fixture) {
	nodes := f.nodes(2)
	writer, slow := nodes[0], nodes[1]
	before := slow.State().Syncs
	slow.store.setWait(sync.OnceFunc(func() { time.Sleep(4 * time.Second) })) // longer than its Silence
	writer.revoke(record(1))
	f.wants(nodes, record(1))
	slow.isLevel()
	if s := slow.State(); s.Syncs != before {
		f.Errorf("the node has begun anew: %+v", s)
	}
}

// nodesStorm revokes on all nodes while the server goes and comes: what was
// acknowledged, and what was not, is refused everywhere in the end.
func nodesStorm(f *fixture) {
	nodes := f.nodes(3)
	var next, acknowledged atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for !stop.Load() {
				switch err := nodes[i%3].list.Revoke(f.Context(), record(int(next.Add(1)-1))); {
				case err == nil:
					acknowledged.Add(1)
				case !errors.Is(err, revocation.ErrAway):
					f.Errorf("Revoke: %v", err)
					return
				default:
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	for round := range 2 {
		before := acknowledged.Load()
		f.eventually("revocations are acknowledged", func() bool { return f.Failed() || acknowledged.Load() > before+200 })
		f.restart(func() {
			if round == 1 {
				f.place.Wipe()
			}
		})
	}
	before := acknowledged.Load()
	f.eventually("revocations are acknowledged", func() bool { return f.Failed() || acknowledged.Load() > before+200 })
	stop.Store(true)
	wg.Wait()
	all := records(0, int(next.Load()))
	f.wants(nodes, all...)
	f.madeWhole(nodes, all...)
	f.wants([]*node{f.node()}, all...)
	f.Logf("%d of %d were acknowledged", acknowledged.Load(), next.Load())
}

// nodesReopened closes a node and opens it again: it goes on from its cursor, and
// gets what it has missed.
func nodesReopened(f *fixture) {
	nodes := f.nodes(2)
	one, other := nodes[0], nodes[1]
	one.revoke(records(0, 100)...)
	f.wants(nodes, records(0, 100)...)
	other.hasCursor(true)
	other.isLevel()
	other.close()
	one.revoke(records(100, 120)...)
	other.open()
	other.isLevel()
	f.wants(nodes, records(0, 120)...)
	if s := other.State(); snapshots(s) > 0 {
		f.Errorf("there was a needless snapshot: %+v", s)
	}
}

// nodesJoined has something acknowledged by a node that stands alone, just as it
// becomes part of the cluster again: the others get it.
func nodesJoined(f *fixture) {
	nodes := f.nodes(2)
	one := nodes[0]
	one.revoke(record(0))
	f.wants(nodes, record(0))
	one.hasCursor(true)
	one.isLevel()
	one.leave()
	storing, joining := make(chan struct{}), make(chan struct{})
	one.store.setWait(sync.OnceFunc(func() { close(storing); <-joining }))
	var wg sync.WaitGroup
	wg.Go(func() { one.revoke(record(1)) })
	<-storing
	wg.Go(one.join)
	time.Sleep(300 * time.Millisecond) // in which a Sync could begin
	close(joining)
	wg.Wait()
	f.wants(nodes, records(0, 2)...)
}
