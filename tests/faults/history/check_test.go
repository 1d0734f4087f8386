package history

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// good is a history of two gateways in which b is cut off from 20 to 30 seconds and
// then well again, and nothing is wrong.
func good() (h []Event) {
	add := func(e ...Event) { h = append(h, e...) }
	add(Event{Kind: Setup, MaxStaleness: 3 * time.Second})
	for _, g := range []string{"a", "b"} {
		add(Event{Kind: Start, Begin: 1 * ms, End: 900 * ms, Gateway: g, Empty: true})
		for at := time.Second; at < 40*time.Second; at += 100 * ms {
			e := Event{Kind: Report, Begin: at, End: at + 5*ms, Gateway: g, Status: 200, Ready: true, Level: true, Word: true, Staleness: 500 * ms}
			if away := at - 20*time.Second; g == "b" && away > 0 && away <= 11*time.Second {
				e.Level, e.Staleness = away < time.Second, away+500*ms
				e.Stale = e.Staleness > 3*time.Second
				e.Ready = !e.Stale
			}
			add(e)
		}
	}
	add(
		revoke("a", "one", 5*time.Second, 200),
		ask(1, "a", "one", 5100*ms, 401),
		ask(2, "b", "one", 5100*ms, 200), // it may not know yet
		ask(3, "b", "one", 7*time.Second, 401),
		ask(4, "b", "none", 7*time.Second, 200),
		Event{Kind: Fault, Begin: 20 * time.Second, End: 32 * time.Second},
		Event{Kind: Cut, Begin: 20 * time.Second, End: 30 * time.Second, Gateway: "b"},
		revoke("a", "two", 21*time.Second, 200),
		ask(5, "b", "two", 22*time.Second, 200), // it is fresh enough
		ask(6, "b", "two", 25*time.Second, 503),
		ask(7, "b", "one", 25*time.Second, 401),
		ask(8, "b", "none", 25*time.Second, 503),
		revoke("b", "three", 25*time.Second, 503),
		ask(9, "b", "three", 26*time.Second, 401),
		ask(10, "a", "three", 26*time.Second, 200),
		ask(11, "b", "none", 26*time.Second, 0),
		Event{Kind: Settled, Begin: 33 * time.Second, End: 39 * time.Second, Gateways: []string{"a", "b"}},
	)
	for i, g := range []string{"a", "b"} {
		for k, token := range []string{"one", "two", "three"} {
			add(final(ask(int64(20+10*i+k), g, token, 34*time.Second, 401)))
		}
		add(final(ask(int64(29+10*i), g, "none", 34*time.Second, 200)))
	}
	for _, e := range h {
		if e.Kind == Ask && e.Status == 200 {
			add(reached(e))
		}
	}
	return h
}

func revoke(gateway, token string, at time.Duration, status int) Event {
	return Event{Kind: Revoke, Begin: at, End: at + 10*ms, Gateway: gateway, Token: token, Status: status}
}

func ask(request int64, gateway, token string, at time.Duration, status int) Event {
	return Event{Kind: Ask, Begin: at, End: at + 10*ms, Gateway: gateway, Token: token, Request: request, Status: status}
}

func final(e Event) Event {
	e.Final = true
	return e
}

func reached(e Event) Event {
	return Event{Kind: Reached, Begin: e.Begin + ms, End: e.Begin + ms, Gateway: e.Gateway, Token: e.Token, Request: e.Request}
}

func passed(request int64, gateway, token string, at time.Duration) []Event {
	e := ask(request, gateway, token, at, 200)
	return []Event{e, reached(e)}
}

// lossOf is that the engine lost what was acknowledged before the 21st second.
func lossOf(more ...Event) []Event {
	return append(more, Event{Kind: Loss, Begin: 20 * time.Second, Turn: 21500 * ms, End: 32 * time.Second})
}

// Each kind of violation is found where there is one, and no other.
func TestDoctoredHistories(t *testing.T) {
	s := time.Second
	for name, c := range map[string]struct {
		add    []Event
		change func(*Event) // of good
		want   []string
	}{
		"nothing":                                {},
		"it passes where it was revoked":         {add: passed(100, "a", "one", 6*s), want: []string{Own}},
		"it passes there much later":             {add: passed(100, "a", "one", 12*s), want: []string{Own}},
		"503 where it was revoked":               {add: []Event{ask(100, "a", "one", 6*s, 503)}, want: []string{Available, Own}},
		"it passes where it was not published":   {add: passed(100, "b", "three", 27*s), want: []string{Own, Stale}},
		"it passes where it is known":            {add: passed(100, "b", "one", 6500*ms), want: []string{Known}},
		"503 where it is known":                  {add: []Event{ask(100, "b", "one", 25*s, 503)}, want: []string{Known}},
		"it passes while stale":                  {add: passed(100, "b", "two", 24500*ms), want: []string{Bound, Stale}},
		"it passes too late in silence":          {add: passed(100, "c", "two", 24500*ms), want: []string{Bound}},
		"another passes while stale":             {add: passed(100, "b", "none", 24500*ms), want: []string{Stale}},
		"refused and let through":                {add: []Event{reached(ask(7, "b", "one", 25*s, 401))}, want: []string{Upstream, Known, Stale}},
		"let through without an answer":          {add: []Event{ask(100, "b", "one", 9*s, 0), reached(ask(100, "b", "one", 9*s, 0))}, want: []string{Known, Available}},
		"answered by nobody":                     {add: []Event{ask(100, "b", "none", 9*s, 200)}, want: []string{Upstream}},
		"an innocent is refused":                 {add: []Event{ask(100, "b", "other", 9*s, 401)}, want: []string{Innocent}},
		"refused before it was revoked":          {add: []Event{ask(100, "a", "one", 4*s, 401)}, want: []string{Innocent}},
		"503 while fresh":                        {add: []Event{ask(100, "b", "none", 21*s, 503)}, want: []string{Available}},
		"503 for nothing":                        {add: []Event{ask(100, "c", "none", 15*s, 503)}, want: []string{Available}},
		"no answer for nothing":                  {add: []Event{ask(100, "b", "none", 15*s, 0)}, want: []string{Available}},
		"500":                                    {add: []Event{ask(100, "b", "none", 25*s, 500)}, want: []string{Available}},
		"not acknowledged for nothing":           {add: []Event{revoke("b", "four", 15*s, 503)}, want: []string{Available}},
		"a revocation is answered 500":           {add: []Event{revoke("b", "four", 25*s, 500)}, want: []string{Available}},
		"staleness is too small in the cut":      {change: staleness("b", 28*s, 2*s, true), want: []string{Truthful}},
		"ready while cut":                        {change: staleness("b", 28*s, 9*s, true), want: []string{Truthful}},
		"stale while fresh":                      {add: []Event{{Kind: Report, Gateway: "a", Begin: 21 * s, End: 21 * s, Status: 200, Stale: true, Word: true}}, want: []string{Truthful}},
		"ready without word":                     {add: []Event{{Kind: Report, Gateway: "a", Begin: 21 * s, End: 21 * s, Status: 200, Ready: true}}, want: []string{Truthful}},
		"not ready for nothing":                  {add: []Event{{Kind: Report, Gateway: "a", Begin: 15 * s, End: 15 * s, Status: 200, Word: true}}, want: []string{Available}},
		"nothing is said for nothing":            {add: []Event{{Kind: Report, Gateway: "a", Begin: 15 * s, End: 15 * s}}, want: []string{Available}},
		"one is not asked in the end":            {add: []Event{revoke("a", "five", 15*s, 200)}, want: []string{Whole}},
		"one passes in the end":                  {change: statusOf(31, 200), want: []string{Known, Upstream, Whole}},
		"an innocent is refused in the end":      {change: statusOf(39, 401), want: []string{Innocent, Whole, Upstream}},
		"nobody looked":                          {change: func(e *Event) { e.Final = false }, want: []string{Whole}},
		"it is never settled":                    {change: func(e *Event) { drop(e, Settled) }, want: []string{Sound}},
		"it has no setup":                        {change: func(e *Event) { drop(e, Setup) }},
		"the engine lost it":                     {add: lossOf(passed(100, "b", "two", 31500*ms)...)},
		"the engine lost it, and it was known":   {add: lossOf(passed(100, "b", "one", 31500*ms)...), want: []string{Known}},
		"the engine lost it long ago":            {add: lossOf(passed(100, "b", "two", 33*s)...), want: []string{Known}},
		"the engine did not lose what came then": {add: append(lossOf(passed(100, "b", "six", 31500*ms)...), revoke("a", "six", 21600*ms, 200)), want: []string{Known, Whole}},
		"the store is empty":                     {add: append(passed(100, "a", "one", 20201*ms), emptied("a", 20*s)...), want: []string{Bound}},
		"a stall excuses a 503":                  {add: []Event{{Kind: Stall, Begin: 9 * s, End: 10 * s}, ask(100, "c", "none", 15*s, 503)}},
		"a restart excuses no answer":            {add: append(emptied("a", 10*s), ask(100, "a", "none", 10*s, 0), ask(101, "a", "one", 10*s, 503))},
	} {
		t.Run(name, func(t *testing.T) {
			h := good()
			for i := range h {
				if c.change != nil {
					c.change(&h[i])
				}
			}
			var got []string
			found := Check(append(h, c.add...))
			for _, v := range found {
				got = append(got, v.Rule)
			}
			slices.Sort(got)
			got = slices.Compact(got)
			want := slices.Compact(slices.Sorted(slices.Values(c.want)))
			if name == "it has no setup" {
				if !slices.Contains(got, Sound) {
					t.Error("not found")
				}
				return
			}
			if !slices.Equal(got, want) {
				t.Errorf("found %q, want %q\n%v", got, want, found)
			}
		})
	}
}

// staleness changes what a gateway says at a time.
func staleness(gateway string, at, staleness time.Duration, ready bool) func(*Event) {
	return func(e *Event) {
		if e.Kind == Report && e.Gateway == gateway && e.Begin == at {
			e.Staleness, e.Ready, e.Stale = staleness, ready || staleness < 3*time.Second, !ready && staleness > 3*time.Second
		}
	}
}

func statusOf(request int64, status int) func(*Event) {
	return func(e *Event) {
		if e.Kind == Ask && e.Request == request {
			e.Status = status
		}
	}
}

// drop makes an event say nothing.
func drop(e *Event, kind Kind) {
	if e.Kind == kind {
		*e = Event{Kind: Stall}
	}
}

func emptied(gateway string, at time.Duration) []Event {
	return []Event{
		{Kind: Stop, Begin: at, End: at + 100*ms, Gateway: gateway},
		{Kind: Start, Begin: at + 200*ms, End: at + 800*ms, Gateway: gateway, Empty: true},
	}
}

// Where what is stale is to pass, it passes, and what is known is refused.
func TestAllow(t *testing.T) {
	h := good()
	for i := range h {
		switch e := &h[i]; {
		case e.Kind == Setup:
			e.Allow = true
		case e.Kind == Report:
			e.Ready = true
		case e.Kind == Ask && e.Status == 503:
			e.Status = 200
			h = append(h, reached(*e))
		}
	}
	if found := Check(h); found != nil {
		t.Error(found)
	}
	if found := Check(append(h, ask(100, "b", "none", 25*time.Second, 503))); len(found) != 1 || found[0].Rule != Available {
		t.Error(found)
	}
	if found := Check(append(h, passed(100, "b", "one", 25*time.Second)...)); len(found) != 1 || found[0].Rule != Known {
		t.Error(found)
	}
}

// A history says the same after it was written and read.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	file, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	h := good()
	for _, e := range h {
		file.Add(e)
	}
	if events, err := file.Events(); err != nil || len(events) != len(h) {
		t.Errorf("%d of %d events: %v", len(events), len(h), err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	events, err := Read(path)
	if err != nil || len(events) != len(h) || Check(events) != nil {
		t.Errorf("%d of %d events: %v", len(events), len(h), err)
	}
	if _, err := Create(path); err == nil {
		t.Error("a history was begun in the file of another")
	}
}
