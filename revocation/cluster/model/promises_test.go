package model

import "fmt"

// refuses says whether a node refuses what has a key: Denylist.Check.
func (m *model) refuses(s *state, node, key uint8) bool {
	r := s.nodes[node].records[key]
	return r != 0 && !m.ended(s, node, r) && !m.restored(r)
}

// takenBack says whether a restoration may count more than a revocation: one that
// was not answered before the revocation began.
func (s *state) takenBack(d *decision) bool { return s.overruled(d, true) }

// overruled says whether an opposite decision may count more than one that was
// answered. What never stood in the feed takes nothing back.
func (s *state) overruled(d *decision, restored bool) bool {
	for i := range s.decisions[:s.decided] {
		other := &s.decisions[i]
		if other.key == d.key && other.restore == restored && d.before>>i&1 == 0 && (other.spread || !restored) {
			return true
		}
	}
	return false
}

// holds says what is broken of the promises that nodes make at any time; all that
// they make once they are level if healed.
func (m *model) holds(s *state, healed bool) (broken string) {
	for node := range m.nodes {
		for i := range s.decisions[:s.decided] {
			d := &s.decisions[i]
			if !d.answered || !healed && d.node != node {
				continue
			}
			refused := m.refuses(s, node, d.key)
			switch {
			case !d.restore && !refused && !m.ended(s, node, d.record) && !s.takenBack(d):
				return fmt.Sprintf("%c lets pass what decision %d revoked", 'A'+node, i)
			case d.restore && refused && !s.overruled(d, false):
				return fmt.Sprintf("%c refuses what decision %d restored", 'A'+node, i)
			}
		}
		for _, r := range s.nodes[node].records[:m.keys] {
			if r != 0 && m.restored(r) && !m.ended(s, node, r) && !s.decisions[m.decidedBy(r)].spread {
				return fmt.Sprintf("%c lets pass what only it has restored", 'A'+node)
			}
		}
	}
	return ""
}

// heal lets everything work again, and says what is not as it was promised then.
func (m *model) heal(s state) (broken string) {
	whole := *m
	whole.log, whole.faults = maxLog, 0
	for range 12 {
		busy := false
		for node := range m.nodes {
			if broken := whole.serve(&s, node); broken != "" {
				return broken
			}
		}
		for node := range m.nodes {
			busy = busy || whole.busy(&s.nodes[node], &s.engine)
		}
		if !busy {
			return whole.equal(&s)
		}
	}
	return "the nodes do not become level"
}

// serve has a node do all that it can.
func (m *model) serve(s *state, node uint8) (broken string) {
	s.nodes[node].late = 0
	for _, what := range []uint8{publish, syncBegin, deliver, beatSent, deliver, beatCame, answer, repair, pay, ask, hear, vouch, believe} {
		for range maxLog {
			possible, broken := m.take(s, step{what: what, node: node})
			if broken != "" {
				return broken
			}
			if !possible || what == beatSent || what == beatCame {
				break
			}
		}
	}
	if n := &s.nodes[node]; n.deciding.published && n.place == s.engine.length { // the engine has lost it
		m.giveUp(s, n, false)
	}
	return m.holds(s, false)
}

func (m *model) busy(n *node, h *history) bool {
	return !n.level || !n.doubt.settled || n.snapshot || n.owed != 0 || n.deciding.decision != 0 || n.place != h.length
}

// equal says what nodes that are level disagree about.
func (m *model) equal(s *state) (broken string) {
	for key := range m.keys {
		if m.unclear(s, key) {
			continue
		}
		var feed record
		for _, one := range s.engine.messages[:s.engine.length] {
			if one.id != 0 && m.key(one.record) == int(key) {
				feed = m.both(feed, one.record)
			}
		}
		first := s.nodes[0].records[key]
		for node := range m.nodes {
			r := s.nodes[node].records[key]
			switch {
			case m.time > 0: // what has ended is known to some
				if m.skew[node] == m.skew[0] && m.refuses(s, node, key) != m.refuses(s, 0, key) {
					return fmt.Sprintf("A and %c are level and have %s and %s", 'A'+node, m.describe(first), m.describe(r))
				}
			case r != first:
				return fmt.Sprintf("A and %c are level and have %s and %s", 'A'+node, m.describe(first), m.describe(r))
			case r != feed:
				return fmt.Sprintf("%c has %s and the engine %s", 'A'+node, m.describe(r), m.describe(feed))
			}
		}
	}
	return m.holds(s, true)
}

// unclear says whether nodes may disagree about a key, for somebody was not answered
// and some have forgotten what was decided then.
func (m *model) unclear(s *state, key uint8) bool {
	for _, d := range s.decisions[:s.decided] {
		if d.key == key && !d.answered && m.time > 0 {
			return true
		}
	}
	return false
}
