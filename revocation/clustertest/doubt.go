package clustertest

import (
	"sync"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	// settle is longer than nodes need to find a server that was away, also where the
	// machine is busy.
	settle = 5 * time.Second
	// slowly is how long repairs take then, at most and half of it at least: so that
	// to wait for settle alone would be too short.
	slowly = 2 * settle
)

// settled opens nodes that wait for others as long as nodes do in earnest.
func (f *fixture) settled(count int) (list []*node) {
	f.Helper()
	for range count {
		n := f.joining(settle, slowly)
		n.isLevel()
		list = append(list, n)
	}
	return list
}

// neverLetPass asserts until the test ends that a node which says that it is level
// refuses all records.
func (f *fixture) neverLetPass(n *node, list ...revocation.Record) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if s := n.State(); (s.Level || n.Fresh(time.Hour)) && !n.knows(list...) {
				f.Errorf("a node is level, and lets pass what others know: %+v", s)
				return
			}
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() { close(end); wg.Wait() })
}

// nodesNeverKnew wipes the engine and has a node join, before those that know what
// is lost, which never knew.
func nodesNeverKnew(f *fixture) {
	nodes := f.settled(2)
	nodes[0].revoke(records(0, 3000)...)
	f.wants(nodes, records(0, 3000)...)
	f.place.Stop()
	f.place.Wipe()
	f.place.Start()
	late := f.joining(settle, slowly)
	stop := f.neverLetPass(late, records(0, 3000)...)
	late.isLevel()
	stop()
	f.wants(append(nodes, late), records(0, 3000)...)
}

// nodesMissed puts the engine back to older data while a node was away since before
// that: its cursor is proven, and still it does not know what was lost.
func nodesMissed(f *fixture) {
	nodes := f.settled(2)
	away := f.joining(settle, slowly)
	away.isLevel()
	nodes[0].revoke(records(0, 100)...)
	f.wants(append(nodes, away), records(0, 100)...)
	away.hasCursor(true)
	away.close()
	restore := f.save()
	for _, n := range nodes {
		n.isLevel()
	}
	nodes[1].revoke(records(100, 200)...)
	f.wants(nodes, records(0, 200)...)
	f.restart(restore)
	away.open()
	stop := f.neverLetPass(away, records(0, 200)...)
	away.isLevel()
	stop()
	if s := away.State(); snapshots(s) > 0 {
		f.Errorf("its cursor was not proven, and so this test shows nothing: %+v", s)
	}
}

// nodesUndisturbed has a node repair for long what the cluster never had: nodes that
// are level stay so, and vouch for those that join.
func nodesUndisturbed(f *fixture) {
	nodes := f.settled(2)
	odd := f.joining(settle, slowly)
	odd.isLevel()
	odd.leave()
	if err := odd.list.Revoke(f.Context(), records(0, 5000)...); err != nil {
		f.Fatalf("Revoke: %v", err)
	}
	var worst time.Duration
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			for _, n := range nodes {
				s := n.State()
				if worst = max(worst, s.Staleness); !s.Level {
					f.Errorf("a node that was level is not any more: %+v", s)
					return
				}
			}
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	odd.join()
	began := time.Now()
	late := f.joining(time.Hour, slowly)
	late.isLevel()
	f.Logf("a node that joins was vouched for within %s", time.Since(began))
	f.wants(append(nodes, late), records(0, 5000)...)
	close(end)
	wg.Wait()
	f.Logf("the others were up to %s stale", worst)
	if worst > slowly/2 { // as long as it took at least
		f.Errorf("the repair of one node made others %s stale", worst)
	}
}
