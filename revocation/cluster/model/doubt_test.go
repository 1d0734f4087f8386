package model

// doubt is cluster.doubt: whether the feed may have lost, before this Sync, what
// others know.
type doubt struct {
	settled bool // it is over

	question uint8 // was asked in this Sync; 0 is none
	asked    uint8 // how much the feed had then
	answer   uint8 // the question that was answered; 0 is none
	answered uint8 // how much the feed had then
}

// calm says whether a heartbeat that is sent now is sent some time after the last
// note about a repair. By then all nodes that are connected have begun a Sync, and
// those that repair have said so: what is cut off for longer than that nobody can
// wait for.
func (m *model) calm(s *state, n *node) bool {
	for i := range s.nodes[:m.nodes] {
		other := &s.nodes[i]
		if other == n || m.passive>>i&1 != 0 {
			continue
		}
		if m.settles && !other.syncing || m.says && m.heeds && other.repairs(m) {
			return false
		}
	}
	return true
}

// repairs says whether a node repairs, or is about to: one that has nothing does not.
func (n *node) repairs(m *model) bool {
	knows := false
	for _, r := range n.records[:m.keys] {
		knows = knows || r != 0
	}
	return n.snapshot && !n.repaired && knows
}

// ask puts a question into the feed. Those that a node has asked of the same data
// are taken for one, so that there are not ever more states.
func (m *model) ask(s *state, node uint8) bool {
	n := &s.nodes[node]
	if n.doubt.settled || !n.level || n.doubt.question != 0 {
		return false
	}
	n.doubt.question, n.doubt.asked = 1+s.faults*maxNodes+node, s.engine.length
	return true
}

// hear receives one. The answer is on its way from here on, even if the sync ends.
func (m *model) hear(s *state, n *node) bool {
	if !n.level || m.knows && !n.doubt.settled || m.whole && n.repairs(m) || n.vouching != 0 {
		return false
	}
	for i := range s.nodes[:m.nodes] {
		other := &s.nodes[i]
		if other != n && other.doubt.question != 0 && n.place >= other.doubt.asked {
			n.vouching = other.doubt.question
			return true
		}
	}
	return false
}

// vouch puts the answer into the feed.
func (m *model) vouch(s *state, n *node) bool {
	if n.vouching == 0 {
		return false
	}
	for i := range s.nodes[:m.nodes] {
		if other := &s.nodes[i]; other != n && other.level && !other.doubt.settled && other.doubt.answer == 0 {
			other.doubt.answer, other.doubt.answered = n.vouching, s.engine.length
		}
	}
	n.vouching = 0
	return true
}

// believe receives it.
func (m *model) believe(n *node) bool {
	if n.doubt.answer == 0 || n.place < n.doubt.answered {
		return false
	}
	if !m.live || n.doubt.answer == n.doubt.question {
		n.doubt = doubt{settled: true}
	} else {
		n.doubt.answer = 0
	}
	return true
}
