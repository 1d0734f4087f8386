package history

import "time"

// report judges what a gateway said of itself.
func (j *judge) report(g *gateway, e *Event) {
	limit, stale := j.setup[0].MaxStaleness, !e.Ready
	_, word := g.at(e.Begin)
	if j.setup[0].Allow {
		stale = e.Stale
	}
	switch {
	case e.Ready && !j.setup[0].Allow && e.Stale:
		j.violated(Truthful, e, "it is ready and stale")
	case !stale && !e.Word:
		j.violated(Truthful, e, "it is not stale, and there was no word")
	case !stale && e.Staleness-e.slack() > limit:
		j.violated(Truthful, e, "it is not stale after %s", e.Staleness)
	case e.Stale && e.End-word < limit:
		j.violated(Truthful, e, "it is stale, and there was word from the engine at %s or later", word)
	}
	for i := range g.cuts {
		j.reportInCut(&g.cuts[i], e)
	}
	if !e.Ready && !j.disturbed(e) && !g.restarting(e) && (!e.Stale || e.Begin-word > limit+slow) {
		j.violated(Available, e, "it was not ready for long, and nothing had happened")
	}
}

// reportInCut judges what was said while no heartbeat could come by: the last was
// sent before.
func (j *judge) reportInCut(cut, e *Event) {
	if e.Begin < cut.Begin || e.End > cut.End {
		return
	}
	away := e.Begin - cut.Begin
	switch {
	case e.Word && e.Staleness < away:
		j.violated(Truthful, e, "its staleness is %s, and it was cut off for %s", e.Staleness, away)
	case !j.setup[0].Allow && e.Ready && away > j.setup[0].MaxStaleness:
		j.violated(Truthful, e, "it is ready, and was cut off for %s", away)
	}
}

// silent judges that there was no report.
func (j *judge) silent(g *gateway, e *Event) {
	if !j.disturbed(e) && !g.restarting(e) {
		j.violated(Available, e, "it said nothing, and nothing had happened")
	}
}

// slack is how much later than whether it is ready a gateway may have been asked how
// stale it is.
func (e *Event) slack() time.Duration { return e.End - e.Begin }
