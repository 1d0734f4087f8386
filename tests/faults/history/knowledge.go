package history

import (
	"slices"
	"sort"
	"time"
)

// knowledge is what a gateway has said of how much it knows: a report with a
// staleness means that all that was acknowledged anywhere before that time ago is
// known.
type knowledge struct {
	times []time.Duration // of what was learned, in order
	known []time.Duration // from then on all is known that was acknowledged before
	word  []time.Duration // the last heartbeat in this process was not sent before
}

// learn takes reports and restarts. What is known is stored, and so outlives a
// process, but not its store.
func (k *knowledge) learn(reports, restarts []Event) {
	all := slices.Concat(reports, restarts)
	slices.SortStableFunc(all, func(a, b Event) int { return int(a.learned() - b.learned()) })
	known, word := never, never
	for _, e := range all {
		switch {
		case e.Kind == Start && e.Empty:
			known, word = never, never
		case e.Kind == Start:
			word = never
		case e.Kind == Report && e.Word:
			known, word = max(known, e.Begin-e.Staleness), max(word, e.Begin-e.Staleness)
		default:
			continue
		}
		k.times, k.known, k.word = append(k.times, e.learned()), append(k.known, known), append(k.word, word)
	}
}

// learned is when an event has changed what is known: a report when it has come, a
// start when it is begun.
func (e *Event) learned() time.Duration {
	if e.Kind == Start {
		return e.Begin
	}
	return e.End
}

// never is before everything.
const never = time.Duration(-1 << 62)

// at returns what was known at a time, and a bound of the last word.
func (k *knowledge) at(t time.Duration) (known, word time.Duration) {
	i := sort.Search(len(k.times), func(i int) bool { return k.times[i] > t }) - 1
	if i < 0 {
		return never, never
	}
	return k.known[i], k.word[i]
}

// emptied says whether a gateway was begun anew, with nothing stored, from one time
// to another.
func (g *gateway) emptied(from, to time.Duration) bool {
	return slices.ContainsFunc(g.restarts, func(e Event) bool {
		return e.Kind == Start && e.Empty && from <= e.End && e.Begin <= to
	})
}

// lost says whether a gateway may not know of a revocation by no fault of its own:
// the engine had lost it before this gateway was known to have it, and it was not
// given back yet.
func (j *judge) lost(g *gateway, ack, ask *Event) bool {
	return slices.ContainsFunc(j.losses, func(loss Event) bool {
		known, _ := g.at(loss.Begin)
		return ack.Begin <= loss.Turn && known <= ack.End && ask.Begin <= loss.End && loss.Begin <= ask.End
	})
}
