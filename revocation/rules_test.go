package revocation_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// about is what the record of a rule is about.
func about(r revocation.Record) revocation.Rule {
	return revocation.Rule{Kind: r.Key.Kind, Issuer: r.Issuer, Value: r.Value}
}

// wantsRule asks twice, as the second time the rule is known.
func (f *fixture) wantsRule(want revocation.Outcome, rule revocation.Rule, issued time.Time) {
	f.t.Helper()
	for range 2 {
		rules := f.Rules()
		if got := rules.Check(&rule, issued); got.Outcome != want {
			f.t.Fatalf("Check(%+v, %s) = %+v, want outcome %d", rule, issued, got, want)
		}
	}
}

func ruleKinds() (kinds []revocation.Kind) {
	for _, kind := range revocation.Kinds() {
		if kind.Rule() {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// What the quick way finds is what the key finds, through all that can happen to
// a rule.
func TestRules(t *testing.T) {
	for _, kind := range ruleKinds() {
		f := newFixture(t)
		r := rule(kind, time.Minute, time.Hour)
		early, late := t0, t0.Add(2*time.Minute)
		ofLate := revocation.Revoked
		if kind.IssuedBefore() {
			ofLate = revocation.Clear
		}
		if got := f.Rules(); got.Kinds != 0 {
			t.Fatalf("Rules() = %v", got.Kinds)
		}
		f.wantsRule(revocation.Clear, about(r), early)
		f.revoke(r)
		if got := f.Rules(); got.Kinds != revocation.KindsOf(kind) {
			t.Fatalf("Rules() = %v", got.Kinds)
		}
		all := func(ofEarly, ofLate revocation.Outcome) {
			t.Helper()
			f.wantsRule(ofEarly, about(r), early)
			f.wantsRule(ofEarly, about(r), time.Time{})
			f.wantsRule(ofLate, about(r), late)
			f.wantsIssued(ofEarly, r.Key, early)
			f.wantsIssued(ofLate, r.Key, late)
		}
		all(revocation.Revoked, ofLate)
		f.wantsRule(revocation.Clear, revocation.Rule{Kind: kind, Issuer: r.Issuer, Value: r.Value + "x"}, early)
		f.wantsRule(revocation.Clear, revocation.Rule{Kind: kind, Issuer: r.Issuer + "x", Value: r.Value}, early)
		f.restore(r.Key)
		all(revocation.Clear, revocation.Clear)
		f.reopen()
		all(revocation.Clear, revocation.Clear)
		dry := r
		dry.Effect, dry.Version = revocation.Count, 2
		f.revoke(dry)
		if kind.IssuedBefore() {
			all(revocation.Counted, revocation.Clear)
		} else {
			all(revocation.Counted, revocation.Counted)
		}
		if _, err := f.Enforce(t.Context(), r.Key, operator); err != nil {
			t.Fatal(err)
		}
		all(revocation.Revoked, ofLate)
		longer := rule(kind, 3*time.Minute, 2*time.Hour)
		f.revoke(longer)
		if kind.IssuedBefore() {
			longer.Version = 2
			if err := f.Apply(t.Context(), longer); err != nil {
				t.Fatal(err)
			}
		}
		all(revocation.Revoked, revocation.Revoked)
		f.reopen()
		all(revocation.Revoked, revocation.Revoked)
		f.clock.move(2*time.Hour + leeway - time.Nanosecond)
		all(revocation.Revoked, revocation.Revoked)
		f.clock.move(time.Nanosecond)
		all(revocation.Clear, revocation.Clear)
		f.SweepIndex()
		all(revocation.Clear, revocation.Clear)
	}
}

// A rule that is asked about all the time is as up to date as any other.
func TestRuleIsExtended(t *testing.T) {
	f := newFixture(t)
	r := rule(revocation.KindJTI, 0, time.Hour)
	f.revoke(r)
	f.wantsRule(revocation.Revoked, about(r), t0)
	f.revoke(rule(revocation.KindJTI, 0, 3*time.Hour))
	f.clock.move(2 * time.Hour)
	f.wantsRule(revocation.Revoked, about(r), t0)
}

func TestRulesOfAStoreThatFails(t *testing.T) {
	f := newFixture(t)
	r := rule(revocation.KindSubject, time.Minute, time.Hour)
	f.revoke(r)
	fail(&f.store.getError, errors.New("no disk"))
	f.wantsRule(revocation.Unknown, about(r), t0)
	f.wantsRule(revocation.Clear, revocation.Rule{Kind: revocation.KindSubject, Issuer: "https://i", Value: "bob"}, t0)
	mend(&f.store.getError)
	f.wantsRule(revocation.Revoked, about(r), t0)
	fail(&f.store.getError, errors.New("no disk"))
	f.wantsRule(revocation.Revoked, about(r), t0) // is known by now
	rules := f.Rules()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"alice", "bob"} {
		rule := revocation.Rule{Kind: revocation.KindSubject, Issuer: "https://i", Value: value}
		if got := rules.Check(&rule, t0); got.Outcome != revocation.Unknown || !errors.Is(got.Err, revocation.ErrClosed) {
			t.Errorf("%s, closed: %+v", value, got)
		}
	}
}

// When a change is said to be done, every check knows it.
func TestRulesChangeAtOnce(t *testing.T) {
	f := newFixture(t)
	r := rule(revocation.KindClient, time.Minute, time.Hour)
	f.revoke(r)
	what := about(r)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				rules := f.Rules()
				rules.Check(&what, t0)
			}
		})
	}
	defer readers.Wait()
	defer stop.Store(true)
	for range 50 {
		f.restore(r.Key)
		f.wantsRule(revocation.Clear, what, t0)
		if _, err := f.Enforce(t.Context(), r.Key, operator); err != nil {
			t.Fatal(err)
		}
		f.wantsRule(revocation.Revoked, what, t0)
	}
}

// More rules than are kept at hand.
func TestManyRules(t *testing.T) {
	f := newFixture(t)
	var records []revocation.Record
	for i := range 10_000 {
		r := rule(revocation.KindSubject, time.Minute, time.Hour)
		r.Value = fmt.Sprint(i)
		r.Key = revocation.RuleKey(revocation.KindSubject, r.Issuer, r.Value)
		records = append(records, r)
	}
	f.revoke(records...)
	for _, r := range records {
		f.wantsRule(revocation.Revoked, about(r), t0)
		f.wantsRule(revocation.Clear, about(r), t0.Add(time.Hour))
	}
	f.wantsRule(revocation.Clear, revocation.Rule{Kind: revocation.KindSubject, Issuer: "https://i", Value: "x"}, t0)
}

func TestRulesCheckDoesNotAllocate(t *testing.T) {
	f := newFixture(t)
	for _, kind := range ruleKinds() {
		f.revoke(rule(kind, 0, time.Hour))
	}
	for _, kind := range ruleKinds() {
		what := revocation.Rule{Kind: kind, Issuer: "https://i", Value: "bob"}
		if kind.IssuedBefore() { // one that a token falls under, but that it is too late for
			what = about(rule(kind, 0, time.Hour))
		}
		f.wantsRule(revocation.Clear, what, t0.Add(time.Minute))
		if n := testing.AllocsPerRun(1000, func() {
			rules := f.Rules()
			rules.Check(&what, t0.Add(time.Minute))
		}); n != 0 {
			t.Errorf("%s: %v allocations", kind, n)
		}
	}
}
