package model

import "github.com/caddy-token-revocation/caddy-token-revocation/revocation"

// begin is Denylist.Revoke, Restore and Enforce up to where they publish.
func (m *model) begin(s *state, a step) bool {
	n := &s.nodes[a.node]
	if n.deciding.decision != 0 || a.what == revokeAlone && n.syncing {
		return false
	}
	r := m.decide(s, a)
	if r == 0 {
		return false
	}
	i := s.decided
	s.decided++
	d := decision{key: a.key, node: a.node, restore: a.what == restore, record: r}
	for j := range i {
		if s.decisions[j].answered {
			d.before |= 1 << j
		}
	}
	switch {
	case r == n.records[a.key]: // is so already, and answered
		d.answered, d.spread = true, s.decisions[m.decidedBy(r)].spread
		if m.sure {
			n.write()
		}
	case a.what == revokeAlone:
		m.put(s, a.node, r)
		d.answered = true
		n.reached = cursor{}
		if m.alone {
			n.cursor = cursor{}
		}
		n.write()
	default:
		n.deciding = deciding{decision: i + 1, record: r, began: s.time}
	}
	s.decisions[i] = d
	return true
}

// decide is the record of a decision: what is stored if that is so already, or 0 if
// nothing can be decided.
func (m *model) decide(s *state, a step) record {
	stored := s.nodes[a.node].records[a.key]
	if a.what == revoke || a.what == revokeAlone {
		if s.time+m.skew[a.node] >= a.arg {
			return 0
		}
		return m.make(int(s.decided), a.node, int(a.key), revocation.Refuse, m.follow(stored), a.arg)
	}
	effect := revocation.Refuse
	if a.what == restore {
		effect = revocation.Restored
	}
	switch {
	case stored == 0 || m.ended(s, a.node, stored):
		return 0
	case m.get(stored).Effect == effect:
		return stored
	}
	return m.make(int(s.decided), a.node, int(a.key), effect, m.get(stored).Version+1, m.until(stored))
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

// putEarly is Denylist.putUnpublished while the publishing is under way.
func (m *model) putEarly(s *state, n *node) bool {
	c := &n.deciding
	if c.decision == 0 || c.early || m.restored(c.record) {
		return false
	}
	m.put(s, s.decisions[c.decision-1].node, c.record)
	n.cursor, c.early = cursor{}, true
	n.write()
	return true
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
		n.write()
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
		n.write()
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
