package model

import "fmt"

// sync is cluster.Node.sync and natscluster.Engine.proven.
func (m *model) sync(s *state, n *node) {
	n.syncing = true
	n.doubt.settled = !m.doubts
	at := n.reached
	if at.number == 0 {
		at = n.cursor
	}
	if at.number != 0 && at.number <= s.engine.length && (!m.witness || s.engine.messages[at.number-1].id == at.id) {
		n.place, n.last = at.number, at
		n.doubt.settled = n.doubt.settled || !m.doubtsAll
		return
	}
	n.snapshot, n.reached = true, cursor{}
	if m.forget {
		n.cursor = cursor{}
		n.write()
	}
}

// stop is the end of cluster.Node.sync.
func (n *node) stop() {
	if n.syncing {
		n.reached = cursor{}
		if !n.snapshot {
			n.reached = n.last
		}
	}
	n.syncing, n.level, n.snapshot, n.repaired = false, false, false, false
	n.paying = 0
	n.repairing, n.place, n.last, n.seen, n.beat, n.doubt = 0, 0, cursor{}, 0, beat{}, doubt{}
}

// deliver is cluster.receiver.Deliver.
func (m *model) deliver(s *state, node uint8) bool {
	n := &s.nodes[node]
	if !n.syncing || n.place >= s.engine.length || m.order && n.beat.sent && n.place == n.beat.behind {
		return false
	}
	n.place++
	one := s.engine.messages[n.place-1]
	if one.id == 0 {
		return true
	}
	m.put(s, node, one.record)
	awaited := m.asked && (n.paying.has(one.record) || n.deciding.record == one.record)
	lazy := m.lazy && !n.snapshot && !awaited
	n.last = cursor{n.place, one.id}
	if n.snapshot {
		n.seen = n.seen.with(one.record)
	}
	if (!n.snapshot || !m.keepLate) && m.keeps(n) {
		n.cursor = n.last
	}
	if n.paying.has(one.record) {
		n.owed, n.paying = n.owed.less(one.record), n.paying.less(one.record)
	}
	if n.deciding.record == one.record {
		n.deciding.cameBy = true
	}
	if !lazy {
		n.write()
	}
	return true
}

// keeps says whether a cursor may be kept: not while the node has what the cluster
// may lack.
func (m *model) keeps(n *node) bool {
	return (n.owed == 0 || !m.owes) && !(n.deciding.early && m.apart)
}

// beatSent is cluster.receiver.beat.
func (m *model) beatSent(s *state, n *node, _ bool) bool {
	if !n.syncing || n.beat.sent || n.level && !n.snapshot && n.doubt.settled && !m.fresh {
		return false
	}
	n.beat = beat{sent: true, behind: s.engine.length, repaired: n.repaired, due: m.due(s), calm: n.level && !n.doubt.settled && m.calm(s, n)}
	return true
}

// due is what a node that knows all that the cluster does knows: the decisions
// that were answered, and are in the feed unless nodes wait for what it has lost.
func (m *model) due(s *state) (due uint8) {
	for i := range s.decisions[:s.decided] {
		if d := &s.decisions[i]; d.answered && (m.doubts || s.engine.holds(m.table, d.record)) {
			due |= 1 << i
		}
	}
	return due
}

// beatCame is cluster.receiver.Beat.
func (m *model) beatCame(s *state, node uint8) (possible bool, broken string) {
	n := &s.nodes[node]
	if !n.beat.sent || m.order && n.place != n.beat.behind {
		return false, ""
	}
	due := n.beat.due
	if !m.sending {
		due = m.due(s)
	}
	if n.beat.calm {
		n.doubt = doubt{settled: true}
	}
	if !n.doubt.settled {
		due = 0 // of this node no more is promised than before
	}
	for i := range s.decisions[:s.decided] {
		d := &s.decisions[i]
		if due>>i&1 != 0 && !m.ended(s, node, d.record) && !m.has(n.records[d.key], d.record) {
			return true, fmt.Sprintf("%c says that it knows what the cluster knows, but does not know decision %d", 'A'+node, i)
		}
	}
	n.level = true
	if n.snapshot && n.repaired && (n.beat.repaired || !m.keepAfter) {
		n.snapshot, n.seen, n.repaired, n.repairing = false, 0, false, 0
	}
	if !n.snapshot && n.cursor.number == 0 && n.last.number != 0 && m.keeps(n) {
		n.cursor = n.last
		if !m.lazy {
			n.write()
		}
	}
	n.beat = beat{}
	return true, ""
}

// repairOne is one step of cluster.receiver.repair.
func (m *model) repairOne(s *state, node uint8, room bool) bool {
	n := &s.nodes[node]
	if !n.level || !n.snapshot || n.repaired {
		return false
	}
	r := n.records[n.repairing]
	if m.repair && r != 0 && !m.ended(s, node, r) && !n.seen.has(r) {
		if !room {
			return false
		}
		m.append(s, r)
	}
	n.repairing++
	n.repaired = n.repairing == m.keys
	return true
}

// payOne is one step of cluster.Node.pay.
func (m *model) payOne(s *state, n *node, room bool) bool {
	if !n.level || n.snapshot && !n.repaired || !room {
		return false
	}
	for r := record(1); n.owed>>r != 0; r++ {
		if n.owed.has(r) && !n.paying.has(r) {
			m.append(s, r)
			n.paying = n.paying.with(r)
			return true
		}
	}
	return false
}
