package revocation_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// history is a denylist to which anything happens, at random.
type history struct {
	*fixture
	random *rand.Rand
	gone   time.Duration // since t0
	log    []string
}

// Whatever happens, every check finds what the store has, at once.
func TestHistories(t *testing.T) {
	for seed := range uint64(60) {
		h := &history{fixture: newFixture(t), random: rand.New(rand.NewPCG(seed, 1))}
		for range 60 {
			r := h.some()
			h.log = append(h.log, fmt.Sprintf("after %s, %s of %s until %s:", h.gone, r.Effect, r.Key.Kind, r.Expires.Sub(t0)))
			h.happen(r)
			for _, kind := range revocation.Kinds() {
				h.compare(kind)
			}
			if h.random.IntN(3) == 0 {
				h.Cached(r.Key)
			}
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *history) of(kind revocation.Kind, before, end time.Duration) revocation.Record {
	if kind.Rule() {
		return rule(kind, before, end)
	}
	return record(1, end)
}

// some is a record, half of the time of a kind that says least.
func (h *history) some() revocation.Record {
	kinds := revocation.Kinds()
	kind := kinds[h.random.IntN(len(kinds))]
	if kind == revocation.KindUsed || h.random.IntN(2) == 0 {
		kind = revocation.KindJTI
	}
	r := h.of(kind, h.gone+h.minutes(-2, 2), h.gone+h.minutes(1, 4))
	r.Effect = revocation.Effect(h.random.IntN(2))
	return r
}

func (h *history) minutes(from, to int) time.Duration {
	return time.Duration(from+h.random.IntN(to-from+1)) * time.Minute
}

func (h *history) happen(r revocation.Record) {
	h.t.Helper()
	var err error
	wanted := r.Effect
	stored := r
	switch n := h.random.IntN(10); n {
	case 0, 1:
		h.log = append(h.log, "revoke")
		h.revoke(r)
		if stored, err = h.store.Get(r.Key); wanted == revocation.Count {
			wanted = stored.Effect // which may refuse already
		}
	case 2:
		h.log = append(h.log, "restore")
		wanted = revocation.Restored
		stored, err = h.Restore(h.t.Context(), r.Key, operator)
	case 3:
		h.log = append(h.log, "enforce")
		wanted = revocation.Refuse
		stored, err = h.Enforce(h.t.Context(), r.Key, operator)
	case 4:
		h.log = append(h.log, "apply")
		r.Version, r.Effect = uint64(h.random.IntN(3)), revocation.Effect(h.random.IntN(3))
		if err := h.Apply(h.t.Context(), r); err != nil {
			h.t.Fatalf("Apply: %v", err)
		}
	case 5, 6:
		d := time.Duration(h.random.IntN(120)) * time.Second
		h.gone += d
		h.clock.move(d)
	case 7:
		h.log = append(h.log, "sweep")
		h.SweepIndex()
	case 8:
		h.log = append(h.log, "drop")
		if err := h.Sweep(h.t.Context()); err != nil {
			h.t.Fatalf("Sweep: %v", err)
		}
	case 9:
		h.options.Leeway = h.minutes(0, 4)
		h.log = append(h.log, "leeway", h.options.Leeway.String())
		if err := h.Tune(h.options); err != nil {
			h.t.Fatalf("Tune: %v", err)
		}
	}
	if err == nil && stored.Effect != wanted { // else there is no such record
		h.t.Fatalf("%v\nthere is %s, want %s", h.log, stored.Effect, wanted)
	}
}

// compare compares what checks find with what the store has.
func (h *history) compare(kind revocation.Kind) {
	h.t.Helper()
	if kind == revocation.KindUsed {
		return
	}
	q := h.of(kind, 0, 0)
	stored, err := h.store.Get(q.Key)
	live := err == nil && t0.Add(h.gone).Before(stored.Expires.Add(h.options.Leeway))
	for _, issued := range []time.Time{{}, t0, t0.Add(h.gone)} {
		want := revocation.Clear
		falls := !kind.IssuedBefore() || issued.IsZero() || !issued.After(stored.IssuedBefore)
		switch {
		case !live || !falls || stored.Effect == revocation.Restored:
		case stored.Effect == revocation.Count:
			want = revocation.Counted
		default:
			want = revocation.Revoked
		}
		got := []revocation.Outcome{h.CheckIssued(&q.Key, issued).Outcome}
		if kind.Rule() {
			what, rules := about(q), h.Rules()
			got = append(got, rules.Check(&what, issued).Outcome)
		}
		for _, outcome := range got {
			if outcome != want {
				h.t.Fatalf("%v\n%s issued %s: outcome %d, want %d", h.log, kind, issued, outcome, want)
			}
		}
	}
}
