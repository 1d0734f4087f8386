package history

import (
	"fmt"
	"slices"
	"time"
)

// Violation is an event that must not be.
type Violation struct {
	// Rule is what it breaks; one of the constants below.
	Rule string
	// Event is what shows it, and Why in which way.
	Event Event
	Why   string
}

// String is the violation in a line.
func (v Violation) String() string {
	e := v.Event
	return fmt.Sprintf("%s: %s at %s, %s to %s, token %q, status %d: %s", v.Rule, e.Kind, e.Gateway, e.Begin, e.End, e.Token, e.Status, v.Why)
}

// What histories are checked for.
const (
	// Own: what a gateway has acknowledged it refuses from then on, and what it could
	// not publish, too.
	Own = "a gateway does not refuse what was revoked there"
	// Known: what was acknowledged anywhere, longer ago than a gateway's staleness, it
	// refuses, and goes on to.
	Known = "a gateway does not refuse what it said it knew"
	// Bound: a gateway that does not let pass when it is stale lets nothing pass that
	// was acknowledged anywhere longer ago than max_staleness.
	Bound = "a token passed later than max_staleness after its revocation"
	// Upstream: what is refused never reaches the API, and what passes does.
	Upstream = "what reached the API and what was answered differ"
	// Innocent: what nobody has revoked is never refused as revoked.
	Innocent = "a token was refused that nobody had revoked"
	// Available: whoever is fresh answers; and whoever does not, has a reason.
	Available = "a gateway did not answer as it can"
	// Truthful: staleness and readiness are as they were seen to be.
	Truthful = "a gateway reported what cannot be"
	// Stale: a gateway that is cut for longer than max_staleness lets nothing pass.
	Stale = "a token passed at a gateway that was cut for too long"
	// Whole: after each fault all gateways refuse all that was ever acknowledged.
	Whole = "a gateway was not whole after a fault"
	// Sound: the history says enough to be judged.
	Sound = "the history cannot be judged"
)

// Check returns what must not be in a history; its events may come in any order.
func Check(events []Event) []Violation {
	j := gather(events)
	j.sound()
	for i := range j.asks {
		j.ask(&j.asks[i])
	}
	for _, attempts := range j.attempts {
		for i := range attempts {
			j.attempt(&attempts[i])
		}
	}
	for _, g := range j.gateways {
		for i := range g.reports {
			j.report(g, &g.reports[i])
		}
		for i := range g.silent {
			j.silent(g, &g.silent[i])
		}
	}
	for i := range j.settled {
		j.whole(&j.settled[i])
	}
	slices.SortFunc(j.found, func(a, b Violation) int { return int(a.Event.Begin - b.Event.Begin) })
	return j.found
}

// judge is a history, sorted by what its events are about.
type judge struct {
	setup    []Event
	asks     []Event
	attempts map[string][]Event // by token
	reached  map[int64]bool     // by request
	gateways map[string]*gateway
	faults   []Event
	stalls   []Event
	losses   []Event
	settled  []Event

	found []Violation
}

type gateway struct {
	reports  []Event // those that were answered
	silent   []Event // those that were not
	restarts []Event // starts and stops
	cuts     []Event
	knowledge
}

func gather(events []Event) *judge {
	j := &judge{attempts: map[string][]Event{}, reached: map[int64]bool{}, gateways: map[string]*gateway{}}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.End - b.End) })
	for _, e := range events {
		g := j.gateways[e.Gateway]
		if g == nil && e.Gateway != "" {
			g = new(gateway)
			j.gateways[e.Gateway] = g
		}
		switch e.Kind {
		case Setup:
			j.setup = append(j.setup, e)
		case Revoke:
			j.attempts[e.Token] = append(j.attempts[e.Token], e)
		case Ask:
			j.asks = append(j.asks, e)
		case Reached:
			j.reached[e.Request] = true
		case Report:
			if e.Status == 0 {
				g.silent = append(g.silent, e)
			} else {
				g.reports = append(g.reports, e)
			}
		case Start, Stop:
			g.restarts = append(g.restarts, e)
		case Cut:
			g.cuts = append(g.cuts, e)
		case Fault:
			j.faults = append(j.faults, e)
		case Loss:
			j.losses = append(j.losses, e)
		case Stall:
			j.stalls = append(j.stalls, e)
		case Settled:
			j.settled = append(j.settled, e)
		default:
			j.violated(Sound, &e, "an event of an unknown kind")
		}
	}
	for _, g := range j.gateways {
		g.learn(g.reports, g.restarts)
	}
	return j
}

func (j *judge) violated(rule string, e *Event, format string, args ...any) {
	j.found = append(j.found, Violation{Rule: rule, Event: *e, Why: fmt.Sprintf(format, args...)})
}

// sound says whether there is enough to judge: a history in which nothing happens
// breaks no rule.
func (j *judge) sound() {
	if len(j.setup) != 1 {
		j.violated(Sound, new(Event), "it has %d setups", len(j.setup))
		j.setup = append(j.setup, Event{})
	}
	if len(j.settled) == 0 {
		j.violated(Sound, new(Event), "nothing was ever found to be whole")
	}
	for _, s := range j.settled {
		for _, name := range s.Gateways {
			if g := j.gateways[name]; g == nil || len(g.reports) == 0 {
				j.violated(Sound, &s, "%s has reported nothing", name)
			}
		}
	}
}

// afterStall is how long after this machine stood still something may be as it
// should not: heartbeats are late, and a sync may have ended.
const afterStall = 10 * time.Second

// disturbed says whether something may have gone wrong while an event happened.
func (j *judge) disturbed(e *Event) bool {
	for i := range j.faults {
		if j.faults[i].overlaps(e) {
			return true
		}
	}
	for _, stall := range j.stalls {
		stall.End += afterStall
		if stall.overlaps(e) {
			return true
		}
	}
	return false
}

// restarting says whether a process of a gateway may not have been there, or not
// yet or no longer as it should be.
func (g *gateway) restarting(e *Event) bool {
	up := true
	for i := range g.restarts {
		r := &g.restarts[i]
		if r.overlaps(e) {
			return true
		}
		if r.End < e.Begin {
			up = r.Kind == Start
		}
	}
	return !up
}
