package model

import "fmt"

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
	lazy        bool // what came in is in the file later
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
	enforce
	publish
	putEarly
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
	write
	crash
	rollback
	putBack
	tick
	sweep
)

var stepNames = [...]string{
	revoke: "begins to revoke", revokeAlone: "revokes outside of the cluster", restore: "begins to restore", enforce: "begins to revoke again",
	publish: "has published", putEarly: "stores apart what it publishes", giveUp: "gives up publishing", giveUpEarly: "gives up before its message arrives", arrive: "has a message arrive late",
	answer: "answers", syncBegin: "begins a sync", syncEnd: "loses the sync", deliver: "receives a message",
	halfDeliver: "crashes between cursor and records", beatSent: "sends a heartbeat", beatCame: "receives its heartbeat",
	repair: "repairs", pay: "sends again what it owes", ask: "asks whether the feed is whole", hear: "receives the question",
	vouch: "answers it", believe: "receives the answer", write: "writes what is late", crash: "crashes", rollback: "the engine loses all but the first",
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
	case revoke, revokeAlone, restore, enforce:
		return m.begin(s, a), ""
	case publish:
		if n.deciding.decision == 0 || n.deciding.published || !room {
			return false, ""
		}
		n.deciding.published = true
		m.append(s, n.deciding.record)
	case putEarly:
		return m.putEarly(s, n), ""
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
		known := n.file.records
		if m.together || n.snapshot || !m.deliver(s, a.node) {
			return false, ""
		}
		n.file = kept{known, n.cursor}
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
	case write:
		if n.file == n.kept {
			return false, ""
		}
		n.write()
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
		n.write()
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

// write is what a store does by itself soon, and each Put that is not lazy: what is
// late becomes durable with it.
func (n *node) write() { n.file = n.kept }

// crash forgets all but the file.
func (m *model) crash(s *state, n *node) bool {
	if !n.syncing && n.owed == 0 && n.deciding.decision == 0 && n.file == n.kept {
		return false
	}
	n.stop()
	n.kept = n.file
	n.owed, n.deciding, n.vouching, n.reached = 0, deciding{}, 0, cursor{}
	return true
}
