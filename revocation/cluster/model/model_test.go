//go:build !race

// The search has one goroutine: the race detector would only make it slow.

package model

import (
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func revokes(node, key, expires uint8) step { return step{revoke, node, key, expires} }
func alone(node, key, expires uint8) step   { return step{revokeAlone, node, key, expires} }
func enforces(node, key uint8) step         { return step{enforce, node, key, 0} }
func restores(node, key uint8) step         { return step{restore, node, key, 0} }

func set(steps ...uint8) (set uint64) {
	for _, what := range steps {
		set |= 1 << what
	}
	return set
}

// What the scenarios leave out, to stay small.
var (
	failures = set(putEarly, giveUp, giveUpEarly, arrive, pay, write, crash)
	vouching = set(ask, hear, vouch, believe)
	syncs    = set(syncEnd, beatSent, beatCame, repair)
)

const (
	a, b, c = 0, 1, 2
	x, y    = 0, 1
)

// The scenarios.
const (
	whileOneNode    = "one node while the engine loses"
	whileTwoNodes   = "two nodes while the engine loses"
	whileThreeNodes = "three nodes while the engine loses"
	heartbeats      = "heartbeats"
	lateMessages    = "late messages"
	reversals       = "revoke, restore and revoke"
	restoredForLess = "restored where it was revoked for longer"
	revokedForMore  = "revoked for longer where it was restored"
	clocks          = "clocks that differ"
	ends            = "records that end"
	outside         = "out of the cluster"
	neverKnew       = "a node that never knew"
	vouchedFor      = "nodes that vouch"
	lateInFile      = "what is late in the file"
	lateAndLost     = "and the engine loses"
	lostAndCrashed  = "a node that knew before it crashed"
	takenBackLate   = "restorations that are late in the file"
	soAlready       = "what is so already"
)

var scenarios = map[string]scenario{
	whileOneNode: {
		nodes: 2, passive: 1 << b, keys: 2, log: 4, faults: 2, spare: true, lazy: true, without: set(putEarly, giveUpEarly),
		script: []step{revokes(a, x, 9), revokes(a, y, 9)},
	},
	whileTwoNodes: {
		nodes: 2, keys: 1, log: 3, faults: 1, level: 1 << b, without: failures,
		script: []step{revokes(a, x, 9), revokes(b, x, 9)},
	},
	whileThreeNodes: {
		nodes: 3, passive: 1 << c, keys: 1, log: 3, faults: 2, without: failures,
		script: []step{revokes(a, x, 9)},
	},
	heartbeats: {
		nodes: 2, keys: 2, log: 3, faults: 1, fresh: true, without: failures | set(repair),
		script: []step{revokes(a, x, 9), revokes(a, y, 9)},
	},
	lateMessages: {
		nodes: 2, keys: 1, log: 4, late: true, lazy: true, without: syncs,
		script: []step{revokes(a, x, 9), restores(a, x), revokes(b, x, 9)},
	},
	reversals: {
		nodes: 2, keys: 1, log: 5, without: failures&^set(giveUp) | set(beatSent, repair),
		script: []step{revokes(a, x, 9), restores(a, x), revokes(b, x, 9)},
	},
	restoredForLess: {
		nodes: 3, passive: 1 << c, level: 1<<a | 1<<b, keys: 1, log: 6, time: 3, grace: 2, without: failures | syncs,
		script: []step{revokes(a, x, 1), revokes(b, x, 9), restores(a, x)},
	},
	revokedForMore: {
		nodes: 2, keys: 1, log: 5, time: 2, grace: 2, without: failures | syncs,
		script: []step{revokes(a, x, 1), restores(a, x), revokes(b, x, 9)},
	},
	clocks: {
		nodes: 2, keys: 1, log: 5, time: 2, grace: 3, skew: [maxNodes]uint8{0, 1}, without: failures | syncs,
		script: []step{revokes(a, x, 1), restores(a, x), revokes(b, x, 9)},
	},
	ends: {
		nodes: 2, keys: 1, log: 4, time: 4, grace: 1, skew: [maxNodes]uint8{1, 0}, without: failures | set(beatSent),
		script: []step{revokes(a, x, 2), revokes(b, x, 9)},
	},
	outside: {
		nodes: 2, passive: 1 << b, keys: 2, log: 4, lazy: true, script: []step{revokes(a, x, 9), alone(a, y, 9)},
	},
	neverKnew: {
		nodes: 2, level: 1<<a | 1<<b, keys: 2, log: 3, faults: 1, doubts: true, without: failures | vouching,
		script: []step{revokes(a, x, 9), revokes(a, y, 9)},
	},
	vouchedFor: {
		nodes: 3, level: 1<<a | 1<<b, keys: 1, log: 2, faults: 1, doubts: true, without: failures | set(syncEnd, repair),
		script: []step{revokes(a, x, 9)},
	},
	lateInFile: {
		nodes: 2, keys: 2, log: 2, lazy: true, level: 1<<a | 1<<b, without: set(giveUp, giveUpEarly, arrive, pay, syncEnd),
		script: []step{revokes(a, x, 9), revokes(b, y, 9)},
	},
	lateAndLost: {
		nodes: 2, keys: 1, log: 3, faults: 1, spare: true, lazy: true, level: 1<<a | 1<<b, without: set(putEarly, giveUp, giveUpEarly, arrive, pay, syncEnd),
		script: []step{revokes(a, x, 9), revokes(b, x, 9)},
	},
	lostAndCrashed: {
		nodes: 2, level: 1<<a | 1<<b, keys: 1, log: 2, faults: 1, doubts: true, lazy: true, without: failures&^set(write, crash) | vouching | set(syncEnd),
		script: []step{revokes(a, x, 9)},
	},
	takenBackLate: {
		nodes: 2, keys: 1, log: 3, lazy: true, level: 1<<a | 1<<b, without: set(giveUp, giveUpEarly, arrive, pay, beatSent, beatCame, repair),
		script: []step{revokes(a, x, 9), restores(b, x), revokes(a, x, 9)},
	},
	soAlready: {
		nodes: 2, keys: 1, log: 4, lazy: true, level: 1<<a | 1<<b, without: failures&^set(write, crash) | set(beatSent, beatCame, repair, syncEnd),
		script: []step{revokes(a, x, 9), enforces(b, x), restores(a, x), restores(b, x)},
	},
}

func TestPromises(t *testing.T) {
	total := 0
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			m := &model{scenario: scenario, rules: allRules()}
			r := m.search()
			if r.broken != "" {
				t.Error(r)
			}
			t.Logf("%d states", r.states)
			total += r.states
		})
	}
	t.Logf("%d states in all", total)
}

// mutations break one rule each, so that a scenario breaks a promise.
var mutations = map[string]struct {
	in     string
	mutate func(*rules)
}{
	"a cursor is proven by its number alone":                {whileOneNode, func(r *rules) { r.witness = false }},
	"a snapshot leaves the cursor in the store":             {whileOneNode, func(r *rules) { r.forget = false }},
	"a cursor is kept before the repair":                    {whileOneNode, func(r *rules) { r.keepLate = false }},
	"a cursor is kept before what was repaired came by":     {whileOneNode, func(r *rules) { r.keepAfter = false }},
	"nothing is repaired":                                   {whileTwoNodes, func(r *rules) { r.repair = false }},
	"a cursor is durable before its records":                {whileOneNode, func(r *rules) { r.together = false }},
	"a heartbeat counts from when it came":                  {heartbeats, func(r *rules) { r.sending = false }},
	"a heartbeat overtakes records":                         {heartbeats, func(r *rules) { r.order = false }},
	"a sync outlives the data that it reads":                {heartbeats, func(r *rules) { r.ends = false }},
	"a decision is answered before it came by":              {whileOneNode, func(r *rules) { r.cameBy = false }},
	"and a revocation may follow a restoration unknown":     {reversals, func(r *rules) { r.cameBy = false }},
	"a revocation is not decided again":                     {reversals, func(r *rules) { r.again = false }},
	"a restoration is not told to last longer":              {restoredForLess, func(r *rules) { r.told = false }},
	"a restoration ends before what it took back":           {restoredForLess, func(r *rules) { r.merge = byVersion }},
	"a restoration is applied that no other node knows of":  {reversals, func(r *rules) { r.inFeed = false }},
	"what was decided alone leaves the cursor in the store": {outside, func(r *rules) { r.alone = false }},
	"what is owed leaves the cursor in the store":           {whileOneNode, func(r *rules) { r.owes = false }},
	"what has ended is forgotten at once":                   {revokedForMore, func(r *rules) { r.remember = false }},
	"and clocks differ":                                     {clocks, func(r *rules) { r.remember = false }},
	"a heartbeat counts at once":                            {neverKnew, func(r *rules) { r.settles = false }},
	"or at once where the cursor was proven":                {neverKnew, func(r *rules) { r.doubtsAll = false }},
	"who repairs does not say so":                           {neverKnew, func(r *rules) { r.says = false }},
	"nobody heeds it":                                       {neverKnew, func(r *rules) { r.heeds = false }},
	"a node vouches that waits itself":                      {vouchedFor, func(r *rules) { r.knows = false }},
	"a node vouches before it has repaired":                 {vouchedFor, func(r *rules) { r.whole = false }},
	"an answer counts whatever was asked":                   {vouchedFor, func(r *rules) { r.live = false }},
	"what was asked for is late in the file":                {lateInFile, func(r *rules) { r.asked = false }},
	"and the engine loses it":                               {lateAndLost, func(r *rules) { r.asked = false }},
	"what comes in is late, and its cursor is not":          {lateInFile, func(r *rules) { r.together = false }},
	"what is so already is late in the file":                {soAlready, func(r *rules) { r.sure = false }},
	"a cursor is kept beside what is stored apart":          {lateInFile, func(r *rules) { r.apart = false }},
	"the later decision wins, by clocks that differ":        {reversals, func(r *rules) { r.merge = byClock }},
}

// TestMutations holds the model to finding out what each rule is for.
func TestMutations(t *testing.T) {
	for name, mutation := range mutations {
		t.Run(name, func(t *testing.T) {
			m := &model{scenario: scenarios[mutation.in], rules: allRules()}
			mutation.mutate(&m.rules)
			r := m.search()
			if r.broken == "" {
				t.Errorf("no promise is broken in %d states", r.states)
			}
			t.Logf("after %d states and %d steps: %s", r.states, len(r.trace), r.broken)
		})
	}
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

// byVersion leaves a record of a higher version the end that it has.
func byVersion(a, b revocation.Record) revocation.Record {
	switch {
	case a.Version > b.Version:
		return a
	case a.Version < b.Version:
		return b
	}
	return revocation.Merge(a, b)
}
