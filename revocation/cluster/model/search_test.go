package model

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// result is what a search has found.
type result struct {
	states int
	broken string   // what was broken first; empty is nothing
	trace  []string // what led there
}

// arrival is how a state was reached for the first time.
type arrival struct {
	from int32
	step step
}

// search visits every state that can be reached, those with the fewest steps
// first, until a promise is broken. States are told apart by a hash of 64 bits: of
// n, one is missed with a probability of n² / 2^65.
func (m *model) search() result {
	m.table = newTable(m.rules.merge)
	seed := maphash.MakeSeed()
	visited := map[uint64]struct{}{}
	arrivals := []arrival{{from: -1}}
	visited[maphash.Comparable(seed, m.start())] = struct{}{}
	now, then := []state{m.start()}, []state{}
	for first := 0; len(now) > 0; now, then = then, now[:0] {
		base := len(arrivals)
		for i := range now {
			from := &now[i]
			var found result
			m.steps(from, func(a step) {
				if found.broken != "" {
					return
				}
				to := *from
				possible, broken := m.take(&to, a)
				if !possible {
					return
				}
				if broken == "" {
					hash := maphash.Comparable(seed, to)
					if _, ok := visited[hash]; ok {
						return
					}
					visited[hash] = struct{}{}
					if broken = m.holds(&to, false); broken == "" && m.settled(&to) {
						if broken = m.heal(to); broken != "" {
							broken += ", once all is healed"
						}
					}
				}
				arrivals = append(arrivals, arrival{int32(first + i), a})
				if broken != "" {
					found.broken, found.trace = broken, m.trace(arrivals)
					return
				}
				then = append(then, to)
			})
			if found.broken != "" {
				found.states = len(arrivals)
				return found
			}
		}
		first = base
	}
	return result{states: len(arrivals)}
}

// start is the first state.
func (m *model) start() (s state) {
	for i := range s.nodes {
		n := &s.nodes[i]
		n.syncing = m.level>>i&1 != 0
		n.level, n.doubt.settled = n.syncing, n.syncing
	}
	return s
}

// settled says whether a heal begins in a state: with new Syncs everywhere, or
// without any. What becomes of one under way is searched.
func (m *model) settled(s *state) bool {
	if m.without&(1<<syncEnd) != 0 {
		return true // for lack of a way to where there are none
	}
	level := 0
	for i := range s.nodes {
		if s.nodes[i].level {
			level++
		} else if s.nodes[i].syncing {
			return false
		}
	}
	return level == 0 || level == int(m.nodes)
}

// trace is the way to the last arrival.
func (m *model) trace(arrivals []arrival) (lines []string) {
	var way []step
	for i := int32(len(arrivals) - 1); i > 0; i = arrivals[i].from {
		way = append(way, arrivals[i].step)
	}
	s := m.start()
	for i := len(way) - 1; i >= 0; i-- {
		m.take(&s, way[i])
		lines = append(lines, fmt.Sprintf("%s\n%s", way[i], s.describe(m.table, int(m.nodes))))
	}
	return lines
}

func (r result) String() string {
	return fmt.Sprintf("after %d states: %s\n%s", r.states, r.broken, strings.Join(r.trace, "\n"))
}
