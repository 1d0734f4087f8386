package clustertest

import (
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// nodesAfterWipe takes all from the engine, and asserts that its nodes give it
// back and go on refusing meanwhile.
func nodesAfterWipe(f *fixture) {
	nodes := f.nodes(3)
	list := records(0, 4600)
	for i := range list[:4500] { // more than a batch for each, all close together
		list[i].Key.Digest[0] = 7
	}
	nodes[0].revoke(list[:4550]...)
	nodes[1].revoke(list[4550:]...)
	f.wants(nodes, list...)
	stop := f.keepRefusing(nodes, list...)
	f.restart(f.place.Wipe)
	f.madeWhole(nodes, list...)
	stop()
	f.wants([]*node{f.node()}, list...)
}

// nodesAfterRestore is the same with data that is only older.
func nodesAfterRestore(f *fixture) {
	nodes := f.nodes(3)
	nodes[0].revoke(records(0, 500)...)
	f.wants(nodes, records(0, 500)...)
	restore := f.save()
	for _, n := range nodes {
		n.isLevel()
	}
	for i := 500; i < 540; i++ {
		nodes[i%3].revoke(record(i))
	}
	f.wants(nodes, records(0, 540)...)
	stop := f.keepRefusing(nodes, records(0, 540)...)
	f.restart(restore)
	f.madeWhole(nodes, records(0, 540)...)
	stop()
	f.wants([]*node{f.node()}, records(0, 540)...)
}

// madeWhole waits until whoever asks the engine for everything gets all records.
func (f *fixture) madeWhole(nodes []*node, list ...revocation.Record) {
	f.Helper()
	engine := f.openAt(f.place)
	f.eventually("the engine is whole", func() bool {
		s := f.follow(engine, nil)
		defer s.stop()
		return s.reachesEnd(briefly) && s.state().lacks(list...) == 0
	})
	for _, n := range nodes {
		n.isLevel()
	}
}

// nodesRepairOnce asserts that nodes which all know what the engine lost do not
// all send all of it.
func nodesRepairOnce(f *fixture) {
	const count = 15_000
	nodes := f.nodes(3)
	nodes[0].revoke(records(0, count)...)
	f.wants(nodes, records(0, count)...)
	f.restart(f.place.Wipe)
	f.madeWhole(nodes, records(0, count)...)
	f.eventually("no repair is under way", func() bool {
		before := repaired(nodes)
		for _, n := range nodes {
			n.isLevel()
		}
		time.Sleep(500 * time.Millisecond) // longer than nodes wait before they repair
		return repaired(nodes) == before
	})
	sent := repaired(nodes)
	f.Logf("%d records were lost, and %d sent", count, sent)
	if sent < count || sent > count*3/2 {
		f.Errorf("%d records were sent to replace %d", sent, count)
	}
}

func repaired(nodes []*node) (sum int) {
	for _, n := range nodes {
		sum += n.State().Repaired
	}
	return sum
}
