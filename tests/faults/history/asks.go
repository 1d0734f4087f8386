package history

import (
	"net/http"
	"time"
)

// ask judges a request and its answer.
func (j *judge) ask(e *Event) {
	g, reached := j.gateways[e.Gateway], j.reached[e.Request]
	passed := reached || e.Status == http.StatusOK
	switch {
	case reached && e.Status != http.StatusOK && e.Status != 0:
		j.violated(Upstream, e, "it was refused and reached the API")
	case !reached && e.Status == http.StatusOK:
		j.violated(Upstream, e, "it passed and never reached the API")
	}
	j.revoked(g, e, passed)
	j.available(g, e)
	if passed && !j.setup[0].Allow {
		j.cutOff(g, e)
	}
	if e.Status == http.StatusUnauthorized && !j.attempted(e) {
		j.violated(Innocent, e, "nobody had begun to revoke it")
	}
}

// revoked judges by what was revoked before the request began.
func (j *judge) revoked(g *gateway, e *Event, passed bool) {
	refused := e.Status == http.StatusUnauthorized && !passed
	unanswered := e.Status == 0 && !passed
	excused := refused || unanswered || !passed && g.restarting(e)
	known, _ := g.at(e.Begin)
	for i := range j.attempts[e.Token] {
		a := &j.attempts[e.Token][i]
		if a.End >= e.Begin {
			continue
		}
		if a.Gateway == e.Gateway && j.enforced(g, a) && !g.emptied(a.End, e.Begin) && !excused {
			j.violated(Own, e, "it was answered with %d there at %s", a.Status, a.End)
			return
		}
		if a.Status != http.StatusOK || j.lost(g, a, e) {
			continue
		}
		if a.End < known && !excused {
			j.violated(Known, e, "it was acknowledged by %s at %s, and all until %s was said to be known", a.Gateway, a.End, known)
			return
		}
		if passed && !j.setup[0].Allow && a.End < e.Begin-j.setup[0].MaxStaleness {
			j.violated(Bound, e, "it was acknowledged by %s at %s", a.Gateway, a.End)
			return
		}
	}
}

// enforced says whether an attempt to revoke something binds the gateway to which
// it was made: also what did not reach the engine is enforced there.
func (j *judge) enforced(g *gateway, attempt *Event) bool {
	return attempt.Status == http.StatusOK || attempt.Status == http.StatusServiceUnavailable && !g.restarting(attempt)
}

// attempted says whether somebody had begun to revoke a token before it was
// answered.
func (j *judge) attempted(e *Event) bool {
	for _, a := range j.attempts[e.Token] {
		if a.Begin < e.End {
			return true
		}
	}
	return false
}

// available judges whether a request had to be answered otherwise than it was.
func (j *judge) available(g *gateway, e *Event) {
	_, word := g.at(e.Begin)
	switch e.Status {
	case http.StatusOK, http.StatusUnauthorized:
	case 0:
		if !j.disturbed(e) && !g.restarting(e) {
			j.violated(Available, e, "there was no answer, and nothing to excuse it")
		}
	case http.StatusServiceUnavailable:
		switch {
		case g.restarting(e):
		case j.setup[0].Allow:
			j.violated(Available, e, "what is stale is to pass")
		case e.End-word <= j.setup[0].MaxStaleness:
			j.violated(Available, e, "there was word from the engine at %s or later", word)
		case !j.disturbed(e) && e.Begin-word > j.setup[0].MaxStaleness+slow:
			j.violated(Available, e, "it was stale for long, and nothing had happened")
		}
	default:
		j.violated(Available, e, "nothing is answered like that")
	}
}

// slow is for how long a gateway may be stale though nothing has happened: on a machine
// that is busy with much else, a heartbeat can be late. That it says so truthfully, and
// is stale only then, is judged all the same.
const slow = 10 * time.Second

// cutOff judges a request that has passed, where being stale is to refuse it.
func (j *judge) cutOff(g *gateway, e *Event) {
	for i := range g.cuts {
		cut := &g.cuts[i]
		if e.Begin > cut.Begin+j.setup[0].MaxStaleness && e.End < cut.End {
			j.violated(Stale, e, "there was no way to the engine since %s", cut.Begin)
		}
	}
}

// attempt judges an answer to a revocation.
func (j *judge) attempt(e *Event) {
	switch e.Status {
	case http.StatusOK:
	case http.StatusServiceUnavailable, 0:
		if !j.disturbed(e) && !j.gateways[e.Gateway].restarting(e) {
			j.violated(Available, e, "it was not acknowledged, and nothing to excuse it")
		}
	default:
		j.violated(Available, e, "no revocation is answered like that")
	}
}

// whole judges whether all gateways refused all that was acknowledged before they
// were found to be well, and what nobody revoked passed.
func (j *judge) whole(s *Event) {
	refused, passed := map[string]map[string]bool{}, map[string]int{}
	for _, name := range s.Gateways {
		refused[name] = map[string]bool{}
	}
	for i := range j.asks {
		e := &j.asks[i]
		if !e.Final || e.Begin < s.Begin || e.End > s.End || refused[e.Gateway] == nil {
			continue
		}
		switch {
		case e.Status == http.StatusUnauthorized:
			refused[e.Gateway][e.Token] = true
		case e.Status == http.StatusOK && len(j.attempts[e.Token]) == 0:
			passed[e.Gateway]++
		}
	}
	for token, attempts := range j.attempts {
		for i := range attempts {
			a := &attempts[i]
			if a.Status != http.StatusOK || a.End >= s.Begin {
				continue
			}
			for name, tokens := range refused {
				if !tokens[token] {
					j.violated(Whole, a, "%s was not found to refuse it from %s on", name, s.Begin)
				}
			}
		}
	}
	for _, name := range s.Gateways {
		if passed[name] == 0 {
			j.violated(Whole, s, "%s was not found to let anything pass", name)
		}
	}
}
