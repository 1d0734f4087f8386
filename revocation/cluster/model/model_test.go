package model

import (
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func revokes(node, key, expires uint8) step { return step{revoke, node, key, expires} }
func alone(node, key, expires uint8) step   { return step{revokeAlone, node, key, expires} }
func restores(node, key uint8) step         { return step{restore, node, key, 0} }

func set(steps ...uint8) (set uint64) {
	for _, what := range steps {
		set |= 1 << what
	}
	return set
}

// What the scenarios leave out, to stay small.
var (
	failures = set(giveUp, giveUpEarly, arrive, pay, crash)
	syncs    = set(syncEnd, beatSent, beatCame, repair)
)

const (
	a, b, c = 0, 1, 2
	x, y    = 0, 1
)

var scenarios = map[string]scenario{
	"one node while the engine loses": {
		nodes: 2, passive: 1 << b, keys: 2, log: 4, faults: 2, spare: true, without: set(giveUpEarly),
		script: []step{revokes(a, x, 9), revokes(a, y, 9)},
	},
	"two nodes while the engine loses": {
		nodes: 2, keys: 2, log: 3, faults: 1, without: set(giveUp, giveUpEarly, pay, syncEnd),
		script: []step{revokes(a, x, 9), revokes(b, y, 9)},
	},
	"three nodes while the engine loses": {
		nodes: 3, passive: 1 << c, keys: 1, log: 3, faults: 2, without: failures,
		script: []step{revokes(a, x, 9)},
	},
	"heartbeats": {
		nodes: 2, keys: 2, log: 3, faults: 1, fresh: true, without: failures | set(repair),
		script: []step{revokes(a, x, 9), revokes(a, y, 9)},
	},
	"late messages": {
		nodes: 2, keys: 1, log: 4, late: true, without: syncs,
		script: []step{revokes(a, x, 9), restores(a, x), revokes(b, x, 9)},
	},
	"revoke, restore and revoke": {
		nodes: 2, keys: 1, log: 5, without: failures&^set(giveUp) | set(beatSent, repair),
		script: []step{revokes(a, x, 9), restores(a, x), revokes(b, x, 9)},
	},
	"restored where it was revoked for longer": {
		nodes: 3, passive: 1 << c, level: 1<<a | 1<<b, keys: 1, log: 6, time: 3, grace: 2, without: failures | syncs,
		script: []step{revokes(a, x, 1), revokes(b, x, 9), restores(a, x)},
	},
	"revoked for longer where it was restored": {
		nodes: 2, keys: 1, log: 5, time: 2, grace: 2, without: failures | syncs,
		script: []step{revokes(a, x, 1), restores(a, x), revokes(b, x, 9)},
	},
	"clocks that differ": {
		nodes: 2, keys: 1, log: 5, time: 2, grace: 3, skew: [maxNodes]uint8{0, 1}, without: failures | syncs,
		script: []step{revokes(a, x, 1), restores(a, x), revokes(b, x, 9)},
	},
	"records that end": {
		nodes: 2, keys: 1, log: 4, time: 4, grace: 1, skew: [maxNodes]uint8{1, 0}, without: failures | set(beatSent),
		script: []step{revokes(a, x, 2), revokes(b, x, 9)},
	},
	"out of the cluster": {
		nodes: 2, passive: 1 << b, keys: 2, log: 4, script: []step{revokes(a, x, 9), alone(a, y, 9)},
	},
}

func TestPromises(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			m := &model{scenario: scenario, rules: allRules()}
			began := time.Now()
			t.Log(m.search(1_000_000), time.Since(began))
		})
	}
}

var mutations = map[string]func(*rules){
	"witness":   func(r *rules) { r.witness = false },
	"forget":    func(r *rules) { r.forget = false },
	"keepLate":  func(r *rules) { r.keepLate = false },
	"keepAfter": func(r *rules) { r.keepAfter = false },
	"repair":    func(r *rules) { r.repair = false },
	"together":  func(r *rules) { r.together = false },
	"sending":   func(r *rules) { r.sending = false },
	"order":     func(r *rules) { r.order = false },
	"ends":      func(r *rules) { r.ends = false },
	"cameBy":    func(r *rules) { r.cameBy = false },
	"again":     func(r *rules) { r.again = false },
	"told":      func(r *rules) { r.told = false },
	"inFeed":    func(r *rules) { r.inFeed = false },
	"alone":     func(r *rules) { r.alone = false },
	"remember":  func(r *rules) { r.remember = false },
	"clock":     func(r *rules) { r.merge = byClock },
	"longer":    func(r *rules) { r.merge = byVersion },
}

// byClock lets the later decision win, by clocks of which B's is behind.
func byClock(a, b revocation.Record) revocation.Record {
	when := func(r revocation.Record) time.Time {
		if r.By == "B" {
			return r.Revoked.Add(-time.Minute)
		}
		return r.Revoked
	}
	if when(a).After(when(b)) {
		return a
	}
	return b
}

func byVersion(a, b revocation.Record) revocation.Record {
	if a.Version > b.Version {
		return a
	}
	if a.Version < b.Version {
		return b
	}
	return revocation.Merge(a, b)
}

func TestMutations(t *testing.T) {
	for name, mutate := range mutations {
		t.Run(name, func(t *testing.T) {
			for in, scenario := range scenarios {
				m := &model{scenario: scenario, rules: allRules()}
				mutate(&m.rules)
				if r := m.search(100_000); r.broken != "" && r.broken != "LIMIT" {
					t.Log(name, in, r.states, r.broken)
				}
			}
		})
	}
}
