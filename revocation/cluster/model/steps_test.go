package model

import (
	"fmt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// scenario bounds a search.
type scenario struct {
	nodes, keys uint8
	passive     uint8  // a set: nodes that do nothing before all is healed
	log         uint8  // messages, without those of a heal
	level       uint8  // a set: nodes that are level at the beginning
	script      []step // the decisions, in the order in which they begin
	without     uint64 // a set: what does not happen
	faults      uint8  // of the engine
	time        uint8  // at which it ends
	skew        [maxNodes]uint8
	grace       uint8
	spare       bool // the engine may be put back to data that it had before a fault
	fresh       bool // nodes go on with heartbeats when they are level
	doubts      bool // nodes wait for what the engine may have lost
	late        bool // messages may arrive after their publisher has given up
}

// model is a scenario under rules.
type model struct {
	scenario
	rules
	*table
}

// step is one thing that can happen.
type step struct{ what, node, key, arg uint8 }

const (
	revoke uint8 = iota
	revokeAlone
	restore
	publish
	giveUp
	giveUpEarly
	arrive
	answer
	syncBegin
	syncEnd
	deliver
	halfDeliver
	beatSent
	beatCame
	repair
	pay
	ask
	hear
	vouch
	believe
	crash
	rollback
	putBack
	tick
	sweep
)

var stepNames = [...]string{
	revoke: "begins to revoke", revokeAlone: "revokes outside of the cluster", restore: "begins to restore",
	publish: "has published", giveUp: "gives up publishing", giveUpEarly: "gives up before its message arrives", arrive: "has a message arrive late",
	answer: "answers", syncBegin: "begins a sync", syncEnd: "loses the sync", deliver: "receives a message",
	halfDeliver: "crashes between cursor and records", beatSent: "sends a heartbeat", beatCame: "receives its heartbeat",
	repair: "repairs", pay: "sends again what it owes", ask: "asks whether the feed is whole", hear: "receives the question",
	vouch: "answers it", believe: "receives the answer", crash: "crashes", rollback: "the engine loses all but the first",
	putBack: "the engine is put back to the other data", tick: "time passes", sweep: "sweeps",
}

func (a step) String() string {
	switch a.what {
	case rollback, putBack, tick:
		return fmt.Sprintf("%s %d", stepNames[a.what], a.arg)
	}
	return fmt.Sprintf("%c %s (%c, %d)", 'A'+rune(a.node), stepNames[a.what], 'x'+rune(a.key), a.arg)
}

// steps calls f with each step that may be possible.
func (m *model) steps(s *state, all func(step)) {
	f := func(a step) {
		if m.without&(1<<a.what) == 0 {
			all(a)
		}
	}
	if int(s.decided) < len(m.script) {
		f(m.script[s.decided])
	}
	for n := range m.nodes {
		if m.passive>>n&1 != 0 {
			continue
		}
		for what := publish; what <= crash; what++ {
			f(step{what, n, 0, 0})
		}
		for k := range m.keys {
			if m.time > 0 {
				f(step{sweep, n, k, 0})
			}
		}
	}
	if s.faults < m.faults {
		for length := range s.engine.length {
			f(step{rollback, 0, 0, length})
		}
		f(step{what: putBack})
	}
	if s.time < m.time {
		f(step{what: tick})
	}
}

// take does a step, and says whether it was possible, and what it broke.
func (m *model) take(s *state, a step) (possible bool, broken string) {
	n := &s.nodes[a.node]
	room := s.engine.length < m.log
	switch a.what {
	case revoke, revokeAlone, restore:
		return m.begin(s, a), ""
	case publish:
		if n.deciding.decision == 0 || n.deciding.published || !room {
			return false, ""
		}
		n.deciding.published = true
		m.append(s, n.deciding.record)
	case giveUp, giveUpEarly:
		return m.giveUp(s, n, a.what == giveUpEarly), ""
	case arrive:
		if n.late == 0 || !room {
			return false, ""
		}
		m.append(s, n.late)
		n.late = 0
	case answer:
		return m.answer(s, a.node), ""
	case syncBegin:
		if n.syncing {
			return false, ""
		}
		m.sync(s, n)
	case syncEnd:
		if !n.syncing {
			return false, ""
		}
		n.stop()
	case deliver:
		return m.deliver(s, a.node), ""
	case halfDeliver:
		known := n.records
		if m.together || n.snapshot || !m.deliver(s, a.node) {
			return false, ""
		}
		n.records = known
		m.crash(s, n)
	case beatSent:
		return m.beatSent(s, n, room), ""
	case beatCame:
		return m.beatCame(s, a.node)
	case repair:
		return m.repairOne(s, a.node, room), ""
	case pay:
		return m.payOne(s, n, room), ""
	case ask:
		return m.ask(s, a.node), ""
	case hear:
		return m.hear(s, n), ""
	case vouch:
		return m.vouch(s, n), ""
	case believe:
		return m.believe(n), ""
	case crash:
		return m.crash(s, n), ""
	case rollback:
		m.lose(s, a.arg)
	case putBack:
		if !m.spare || s.spare.length == 0 {
			return false, ""
		}
		s.engine, s.spare = s.spare, s.engine
		s.faults++
		m.endSyncs(s)
	case tick:
		m.tick(s)
	case sweep:
		stored := n.records[a.key]
		if stored == 0 || m.known(s, a.node, stored) {
			return false, ""
		}
		n.records[a.key] = 0
	}
	return true, ""
}

// append puts a message into the feed: cluster.Engine.Apply.
func (m *model) append(s *state, r record) {
	s.ids++
	s.engine.append(r, s.ids)
	for i := range s.decisions[:s.decided] {
		d := &s.decisions[i]
		d.spread = d.spread || int(d.key) == m.key(r) && m.has(r, d.record)
	}
}

// ended is the opposite of revocation.Denylist.Live: by the node's clock.
func (m *model) ended(s *state, node uint8, r record) bool {
	return s.time+m.skew[node] >= m.until(r)
}

// known is revocation.Denylist.known: by the node's clock.
func (m *model) known(s *state, node uint8, r record) bool {
	until := m.until(r)
	if m.remember {
		until += m.grace
	}
	return s.time+m.skew[node] < until
}

// put is revocation.Denylist.put.
func (m *model) put(s *state, node uint8, r record) {
	if !m.known(s, node, r) {
		return
	}
	stored := &s.nodes[node].records[m.key(r)]
	if *stored != 0 && !m.known(s, node, *stored) {
		*stored = 0 // is as good as swept
	}
	*stored = m.both(*stored, r)
}

// lose cuts the engine's data: restored older, or the tail lost; of length 0 it
// is a wipe.
func (m *model) lose(s *state, length uint8) {
	if m.spare {
		s.spare = s.engine
	}
	s.engine.cut(length)
	s.faults++
	m.endSyncs(s)
}

func (m *model) endSyncs(s *state) {
	if !m.ends {
		return
	}
	for i := range s.nodes {
		s.nodes[i].stop()
	}
}

// tick lets time pass. The engine removes what has ended long enough; nobody
// waits for an answer for as long as that.
func (m *model) tick(s *state) {
	s.time++
	for i := range s.nodes {
		if n := &s.nodes[i]; n.deciding.decision != 0 && s.time >= n.deciding.began+m.grace {
			m.giveUp(s, n, false)
		}
	}
	for i := range s.engine.messages[:s.engine.length] {
		if one := &s.engine.messages[i]; one.id != 0 && s.time >= m.until(one.record)+m.grace {
			*one = message{}
		}
	}
}

func (n *node) stop() {
	n.syncing, n.level, n.snapshot, n.repaired = false, false, false, false
	if n.syncing {
		n.reached = cursor{}
		if !n.snapshot {
			n.reached = n.last
		}
	}
	n.paying = 0
	n.repairing, n.place, n.last, n.seen, n.beat, n.doubt = 0, 0, cursor{}, 0, beat{}, doubt{}
}

// crash forgets all but the store.
func (m *model) crash(s *state, n *node) bool {
	if !n.syncing && n.owed == 0 && n.deciding.decision == 0 {
		return false
	}
	n.stop()
	n.owed, n.deciding, n.vouching, n.reached = 0, deciding{}, 0, cursor{}
	return true
}

// begin is Denylist.Revoke and Restore up to where they publish.
func (m *model) begin(s *state, a step) bool {
	n := &s.nodes[a.node]
	stored := n.records[a.key]
	switch {
	case n.deciding.decision != 0:
		return false
	case a.what == restore && (stored == 0 || m.ended(s, a.node, stored) || m.restored(stored)):
		return false // Denylist.reverse has nothing to do
	case a.what != restore && s.time+m.skew[a.node] >= a.arg:
		return false
	case a.what == revokeAlone && n.syncing:
		return false
	}
	i := s.decided
	s.decided++
	var r record
	if a.what == restore {
		known := m.get(stored)
		r = m.make(int(i), a.node, int(a.key), revocation.Restored, known.Version+1, m.until(stored))
	} else {
		r = m.make(int(i), a.node, int(a.key), revocation.Refuse, m.follow(stored), a.arg)
	}
	d := decision{key: a.key, node: a.node, restore: a.what == restore, record: r}
	for j := range i {
		if s.decisions[j].answered {
			d.before |= 1 << j
		}
	}
	if a.what == revokeAlone {
		m.put(s, a.node, r)
		d.answered = true
		n.reached = cursor{}
		if m.alone {
			n.cursor = cursor{}
		}
	} else {
		n.deciding = deciding{decision: i + 1, record: r, began: s.time}
	}
	s.decisions[i] = d
	return true
}

// follow is Denylist.follow: the version of a revocation beside what is stored.
func (m *model) follow(stored record) uint64 {
	switch {
	case stored == 0:
		return 0
	case m.restored(stored):
		return m.get(stored).Version + 1
	}
	return m.get(stored).Version
}

// giveUp is Denylist.decide after an error of the cluster.
func (m *model) giveUp(s *state, n *node, early bool) bool {
	c := n.deciding
	if c.decision == 0 || early && (!m.late || c.published || n.late != 0) {
		return false
	}
	if early {
		n.late = c.record
	}
	if d := &s.decisions[c.decision-1]; !d.restore || !m.inFeed {
		m.put(s, d.node, c.record)
		n.owed = n.owed.with(c.record)
		if m.owes {
			n.cursor = cursor{}
		}
	}
	n.deciding = deciding{}
	return true
}

// answer is the end of Denylist.Revoke and Restore.
func (m *model) answer(s *state, node uint8) bool {
	n := &s.nodes[node]
	c := n.deciding
	if c.decision == 0 || !c.published || m.cameBy && !c.cameBy {
		return false
	}
	d := &s.decisions[c.decision-1]
	if !m.cameBy {
		m.put(s, node, c.record)
	}
	stored := n.records[d.key]
	if d.restore && (stored == 0 || m.ended(s, node, stored) || !m.restored(stored)) {
		n.deciding = deciding{} // it has ended, or somebody revoked it again
		return true
	}
	if stored != 0 && m.restored(stored) {
		switch {
		case !d.restore && m.again && !m.ended(s, node, c.record):
			d.record = m.make(int(c.decision-1), node, int(d.key), revocation.Refuse, m.follow(stored), m.until(c.record))
			n.deciding = deciding{decision: c.decision, record: d.record, began: c.began}
			return true
		case d.restore && m.told && m.until(stored) > m.until(c.record):
			n.deciding = deciding{decision: c.decision, record: stored, began: c.began}
			return true
		}
	}
	d.answered = true
	n.deciding = deciding{}
	return true
}

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
	}
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
	n.last = cursor{n.place, one.id}
	if n.snapshot {
		n.seen = n.seen.with(one.record)
	}
	if (!n.snapshot || !m.keepLate) && (n.owed == 0 || !m.owes) {
		n.cursor = n.last
	}
	if n.paying.has(one.record) {
		n.owed, n.paying = n.owed.less(one.record), n.paying.less(one.record)
	}
	if n.deciding.record == one.record {
		n.deciding.cameBy = true
	}
	return true
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
	if !n.snapshot && n.cursor.number == 0 && n.last.number != 0 && (n.owed == 0 || !m.owes) {
		n.cursor = n.last
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
