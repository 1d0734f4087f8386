package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

var operator = revocation.Decision{By: "ops", Reason: "a mistake"}

// rule is about all tokens of alice that were issued until so long after t0.
func rule(kind revocation.Kind, before time.Duration, end time.Duration) revocation.Record {
	value := "alice"
	if kind == revocation.KindIssuer {
		value = ""
	}
	r := revocation.Record{
		Key: revocation.RuleKey(kind, "https://i", value), Issuer: "https://i", Value: value,
		Revoked: t0, Expires: t0.Add(end), By: "ops", Operator: true,
	}
	if kind.IssuedBefore() {
		r.IssuedBefore = t0.Add(before)
	}
	return r
}

func (f *fixture) wantsIssued(want revocation.Outcome, key revocation.Key, issued time.Time) {
	f.t.Helper()
	if got := f.CheckIssued(&key, issued); got.Outcome != want {
		f.t.Fatalf("CheckIssued(%s, %s) = %+v, want outcome %d", key, issued, got, want)
	}
}

func (f *fixture) restore(key revocation.Key) revocation.Record {
	f.t.Helper()
	r, err := f.Restore(f.t.Context(), key, operator)
	if err != nil || r.Effect != revocation.Restored || r.By != "ops" || !r.Operator {
		f.t.Fatalf("Restore = %+v, %v", r, err)
	}
	return r
}

func TestRestore(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Restore(t.Context(), key(1), operator); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("Restore of what is not revoked: %v", err)
	}
	f.revoke(record(1, time.Hour), record(2, time.Hour))
	f.wants(revocation.Revoked, key(1)) // and cached
	r := f.restore(key(1))
	f.wants(revocation.Clear, key(1))
	f.wants(revocation.Revoked, key(2))
	if again := f.restore(key(1)); again != r {
		t.Errorf("restored again: %+v, before %+v", again, r)
	}
	f.reopen()
	f.wants(revocation.Clear, key(1))
	// A client that revokes it again means it.
	f.revoke(record(1, time.Hour))
	f.wants(revocation.Revoked, key(1))
	f.reopen()
	f.wants(revocation.Revoked, key(1))
	f.restore(key(1))
	f.wants(revocation.Clear, key(1))
	if r, err := f.Enforce(t.Context(), key(1), operator); err != nil || r.Effect != revocation.Refuse || r.Version != 4 {
		t.Errorf("Enforce = %+v, %v", r, err)
	}
	f.wants(revocation.Revoked, key(1))
}

// What was restored may have ended, and be stored all the same, when the key is
// revoked once more.
func TestRevokeAfterARestorationEnded(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	f.restore(key(1))
	f.clock.move(time.Hour + leeway)
	f.SweepIndex()
	f.revoke(record(1, 3*time.Hour))
	f.wants(revocation.Revoked, key(1))
}

// Records of another denylist are merged as they are.
func TestApply(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	f.restore(key(1))
	if err := f.Apply(t.Context(), record(1, 2*time.Hour), record(2, time.Hour)); err != nil {
		t.Fatal(err)
	}
	f.wants(revocation.Clear, key(1))
	f.wants(revocation.Revoked, key(2))
	newer := record(1, 2*time.Hour)
	newer.Version = 2
	if err := f.Apply(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	f.wants(revocation.Revoked, key(1))
}

func TestIssuedBefore(t *testing.T) {
	for _, kind := range revocation.Kinds() {
		if !kind.IssuedBefore() {
			continue
		}
		f := newFixture(t)
		r := rule(kind, time.Minute, time.Hour)
		f.revoke(r)
		for range 2 { // from the store, and from the cache
			f.wantsIssued(revocation.Revoked, r.Key, t0.Add(time.Minute))
			f.wantsIssued(revocation.Clear, r.Key, t0.Add(time.Minute+time.Millisecond))
			f.wantsIssued(revocation.Revoked, r.Key, time.Time{})
			f.wants(revocation.Revoked, r.Key)
			f.Cached(r.Key)
		}
		// It is extended at once, whatever is cached.
		f.revoke(rule(kind, 2*time.Minute, time.Minute))
		f.wantsIssued(revocation.Revoked, r.Key, t0.Add(2*time.Minute))
		f.revoke(rule(kind, 0, time.Minute))
		f.reopen()
		f.wantsIssued(revocation.Revoked, r.Key, t0.Add(2*time.Minute))
		f.clock.move(time.Hour + leeway)
		f.wantsIssued(revocation.Clear, r.Key, t0)
	}
}

func TestRulesSayWhatTheyAreAbout(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(*revocation.Record){
		"another value":         func(r *revocation.Record) { r.Value = "bob" },
		"another issuer":        func(r *revocation.Record) { r.Issuer = "https://j" },
		"no time":               func(r *revocation.Record) { r.IssuedBefore = time.Time{} },
		"an effect there isn't": func(r *revocation.Record) { r.Effect = 3 },
		"a time without sense":  func(r *revocation.Record) { *r = rule(revocation.KindJTI, 0, time.Hour); r.IssuedBefore = t0 },
		"a use that was none": func(r *revocation.Record) {
			*r = record(1, time.Hour)
			r.Key.Kind, r.Effect = revocation.KindUsed, revocation.Restored
		},
		"a last version":     func(r *revocation.Record) { r.Version = 1<<64 - 1 },
		"a kind there isn't": func(r *revocation.Record) { r.Key.Kind = 9 },
	} {
		bad := rule(revocation.KindSubject, 0, time.Hour)
		change(&bad)
		if err := f.Revoke(t.Context(), bad); !errors.Is(err, revocation.ErrInvalid) {
			t.Errorf("%s: Revoke = %v, want ErrInvalid", name, err)
		}
	}
	if n := f.Stats().Total(); n != 0 {
		t.Errorf("%d records are in the index", n)
	}
}

func TestDryRun(t *testing.T) {
	f := newFixture(t)
	dry := rule(revocation.KindSubject, 0, time.Hour)
	dry.Effect = revocation.Count
	f.revoke(dry)
	for range 2 {
		f.wantsIssued(revocation.Counted, dry.Key, t0)
		f.wantsIssued(revocation.Clear, dry.Key, t0.Add(time.Second))
		f.Cached(dry.Key)
	}
	for i := range 30 {
		token := key(i % 10)
		f.Try(&dry, &token)
		f.clock.move(time.Second)
	}
	if got := f.Tried(dry.Key); got.Requests != 30 || got.Tokens != 10 || !got.First.Equal(t0) || !got.Last.Equal(t0.Add(29*time.Second)) {
		t.Errorf("Tried = %+v", got)
	}
	if r, err := f.Enforce(t.Context(), dry.Key, operator); err != nil || !r.IssuedBefore.Equal(t0) || !r.Expires.Equal(dry.Expires) {
		t.Errorf("Enforce = %+v, %v", r, err)
	}
	f.wantsIssued(revocation.Revoked, dry.Key, t0)
	// A dry run does not weaken what refuses.
	f.revoke(dry)
	f.wantsIssued(revocation.Revoked, dry.Key, t0)
	f.restore(dry.Key)
	f.wantsIssued(revocation.Clear, dry.Key, t0)
	if got := f.Tried(dry.Key); got.Requests != 0 {
		t.Errorf("a dry run that was taken back has %+v", got)
	}
}

// A dry run that is known to the cache refuses as soon as it is enforced, whatever
// its kind.
func TestEnforceADryRunThatIsCached(t *testing.T) {
	for _, kind := range ruleKinds() {
		f := newFixture(t)
		dry := rule(kind, time.Minute, time.Hour)
		dry.Effect = revocation.Count
		f.revoke(dry)
		for range 2 {
			f.wantsRule(revocation.Counted, about(dry), t0)
			f.wantsIssued(revocation.Counted, dry.Key, t0)
			f.Cached(dry.Key)
		}
		if _, err := f.Enforce(t.Context(), dry.Key, operator); err != nil {
			t.Fatal(err)
		}
		f.wantsRule(revocation.Revoked, about(dry), t0)
		f.wantsIssued(revocation.Revoked, dry.Key, t0)
	}
}

// What has ended, and is stored all the same, does not make a dry run refuse.
func TestDryRunAfterARuleEnded(t *testing.T) {
	f := newFixture(t)
	f.revoke(rule(revocation.KindSubject, 0, time.Hour))
	f.clock.move(time.Hour + leeway)
	f.SweepIndex()
	dry := rule(revocation.KindSubject, 0, 3*time.Hour)
	dry.Effect = revocation.Count
	f.revoke(dry)
	f.wantsIssued(revocation.Counted, dry.Key, t0)
}

// What has ended does not reach further than what comes after it, either.
func TestRevokeAfterARuleEnded(t *testing.T) {
	f := newFixture(t)
	f.revoke(rule(revocation.KindSubject, 2*time.Hour, time.Hour))
	f.clock.move(time.Hour + leeway)
	again := rule(revocation.KindSubject, time.Minute, 3*time.Hour)
	f.revoke(again)
	f.wantsIssued(revocation.Revoked, again.Key, t0.Add(time.Minute))
	f.wantsIssued(revocation.Clear, again.Key, t0.Add(time.Hour))
}

// What is cached of a record that has ended and was dropped does not live again.
func TestMoreLeewayAfterARestorationWasDropped(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour))
	f.restore(key(1))
	f.wants(revocation.Clear, key(1))
	f.Cached(key(1))
	f.clock.move(time.Hour + leeway + time.Second)
	if err := f.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.revoke(record(1, 3*time.Hour))
	f.options.Leeway = 4 * time.Hour
	if err := f.Tune(f.options); err != nil {
		t.Fatal(err)
	}
	f.wants(revocation.Revoked, key(1))
}

func TestTrialsAreBounded(t *testing.T) {
	f := newFixture(t)
	token := key(0)
	for i := range revocation.MaxTrials + 1 {
		r := record(i, time.Hour)
		f.Try(&r, &token)
	}
	if first, last := f.Tried(key(0)), f.Tried(key(revocation.MaxTrials)); first.Requests != 1 || last.Requests != 0 {
		t.Errorf("the first has %+v, the one too many %+v", first, last)
	}
	f.clock.move(time.Hour + leeway + time.Second)
	f.SweepIndex()
	if got := f.Tried(key(0)); got.Requests != 0 {
		t.Errorf("what has ended has %+v", got)
	}
}

// An answer to the operator holds from that moment on, whatever others do, and
// whatever is being read from the store and cached meanwhile.
func TestReversedBesideChecks(t *testing.T) {
	f := newFixture(t, func(o *revocation.Options) { o.Now = nil })
	r := record(1, 0)
	r.Revoked, r.Expires = time.Now(), time.Now().Add(time.Hour)
	f.revoke(r)
	var restored atomic.Int64 // odd: reversed; which is even or odd only between changes
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				before := restored.Load()
				got := f.Check(&r.Key).Outcome
				if before != restored.Load() || before%4 == 1 || before%4 == 3 {
					continue // it was being changed
				}
				want := revocation.Revoked
				if before%4 == 2 {
					want = revocation.Clear
				}
				if got != want {
					t.Errorf("outcome %d, want %d", got, want)
					return
				}
			}
		})
	}
	for range 100 {
		restored.Add(1)
		f.restore(r.Key)
		restored.Add(1)
		for range rand.IntN(50) {
			f.Check(&r.Key)
		}
		restored.Add(1)
		f.revoke(r)
		restored.Add(1)
		for range rand.IntN(50) {
			f.Check(&r.Key)
		}
	}
	cancel()
	wg.Wait()
}

func TestGetScanAndPing(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour), record(2, time.Minute), rule(revocation.KindJTI, 0, time.Hour))
	f.clock.move(time.Minute + leeway)
	if r, err := f.Get(key(1)); err != nil || r != record(1, time.Hour) {
		t.Errorf("Get = %+v, %v", r, err)
	}
	if _, err := f.Get(key(2)); !errors.Is(err, revocation.ErrNotFound) {
		t.Errorf("Get of what has ended: %v", err)
	}
	var kinds []revocation.Kind
	err := f.Scan(t.Context(), revocation.Key{}, func(r revocation.Record) error {
		kinds = append(kinds, r.Key.Kind)
		return nil
	})
	if err != nil || fmt.Sprint(kinds) != "[token jti]" {
		t.Errorf("Scan found %v, %v", kinds, err)
	}
	if err := f.Ping(); err != nil {
		t.Errorf("Ping: %v", err)
	}
	fail(&f.store.getError, revocation.ErrCorrupt)
	if err := f.Ping(); !errors.Is(err, revocation.ErrCorrupt) {
		t.Errorf("Ping of a store that fails: %v", err)
	}
	// Which version would count cannot be known.
	if err := f.Revoke(t.Context(), rule(revocation.KindIssuer, 0, time.Hour)); !errors.Is(err, revocation.ErrCorrupt) {
		t.Errorf("Revoke: %v", err)
	}
}

func TestStats(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour), record(2, time.Hour), rule(revocation.KindIssuer, 0, time.Hour))
	s := f.Stats()
	if s.Records[revocation.KindToken] != 2 || s.Records[revocation.KindIssuer] != 1 || s.Total() != 3 || s.IndexBytes == 0 {
		t.Errorf("Stats = %+v", s)
	}
	f.reopen()
	if again := f.Stats(); fmt.Sprint(again.Records) != fmt.Sprint(s.Records) {
		t.Errorf("Stats = %+v after loading", again)
	}
	f.wants(revocation.Revoked, key(1))
	f.Cached(key(1))
	f.wants(revocation.Revoked, key(1))
	if s := f.Stats(); s.CacheMisses == 0 || s.CacheHits == 0 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	f := newFixture(t, func(o *revocation.Options) {
		o.Observe = func(op revocation.Operation) {
			mu.Lock()
			defer mu.Unlock()
			seen[fmt.Sprint(op.Name, " ", op.Err == nil)]++
		}
	})
	f.revoke(record(1, time.Hour))
	f.wants(revocation.Revoked, key(1))
	fail(&f.store.putError, revocation.ErrNotStored)
	if err := f.Revoke(t.Context(), record(2, time.Hour)); err == nil {
		t.Error("a store that fails was not noticed")
	}
	if err := f.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for what, n := range map[string]int{"get true": 1, "put true": 1, "put false": 1, "drop true": 1, "get false": 0} {
		if seen[what] != n {
			t.Errorf("%s was seen %d times, want %d", what, seen[what], n)
		}
	}
	if seen["scan true"] == 0 {
		t.Error("loading was not seen")
	}
}

func TestIDs(t *testing.T) {
	for _, kind := range revocation.Kinds() {
		k := key(1)
		k.Kind = kind
		if again, err := revocation.ParseID(k.ID()); err != nil || again != k {
			t.Errorf("%s was read as %v, %v", k.ID(), again, err)
		}
	}
	id := key(1).ID()
	for _, bad := range []string{"", "token", "token:", id[:len(id)-2], id + "00", "tokens" + id[5:], id[:10] + "x" + id[11:], "kind 1:" + id[6:]} {
		if _, err := revocation.ParseID(bad); !errors.Is(err, revocation.ErrInvalid) {
			t.Errorf("ParseID(%q): %v", bad, err)
		}
	}
}
