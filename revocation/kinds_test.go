package revocation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func sessionRecord(session string, end time.Duration) revocation.Record {
	return revocation.Record{Key: revocation.SessionKey("https://issuer.example", session), Revoked: t0, Expires: t0.Add(end)}
}

// has fails the test where it is otherwise than wanted that there may be a rule of
// a kind.
func (f *fixture) has(kind revocation.Kind, want bool) {
	f.t.Helper()
	if got := f.Rules().Kinds; got.Has(kind) != want {
		f.t.Errorf("a rule of kind %s: %t at %s", kind, !want, f.clock.now().Sub(t0))
	}
}

func TestKinds(t *testing.T) {
	f := newFixture(t)
	f.has(revocation.KindSession, false)
	f.revoke(record(1, time.Hour))
	f.has(revocation.KindToken, false) // is no rule
	f.has(revocation.KindSession, false)
	f.revoke(sessionRecord("a", 2*time.Hour), sessionRecord("b", time.Hour))
	f.has(revocation.KindSession, true)

	f.clock.move(2*time.Hour + leeway - time.Nanosecond)
	f.SweepIndex()
	f.has(revocation.KindSession, true)
	f.clock.move(time.Nanosecond)
	f.has(revocation.KindSession, false)
	f.revoke(sessionRecord("c", 3*time.Hour))
	f.has(revocation.KindSession, true)
}

func TestKindsAfterRestart(t *testing.T) {
	f := newFixture(t)
	f.revoke(record(1, time.Hour), sessionRecord("a", 2*time.Hour), sessionRecord("b", time.Hour))
	f.reopen()
	f.has(revocation.KindToken, false) // is no rule
	f.has(revocation.KindUsed, false)
	f.has(revocation.KindSession, true)
	f.clock.move(2*time.Hour + leeway - time.Nanosecond)
	f.has(revocation.KindSession, true)
	f.reopen()
	f.has(revocation.KindSession, true)
	f.clock.move(time.Nanosecond)
	f.has(revocation.KindSession, false)
	f.reopen()
	f.has(revocation.KindSession, false)
}

// What more leeway brings back to life is known to be there again.
func TestKindsAfterTune(t *testing.T) {
	f := newFixture(t)
	a := sessionRecord("a", time.Hour)
	f.revoke(a)
	f.clock.move(90 * time.Minute)
	f.SweepIndex()
	f.reopen()
	f.has(revocation.KindSession, false)
	f.options.Leeway = time.Hour
	if err := f.Tune(f.options); err != nil {
		t.Fatal(err)
	}
	f.has(revocation.KindSession, true)
	f.wants(revocation.Revoked, a.Key)
}

// A use is a record like any other, and what may have been stored counts.
func TestKindsAfterUseAndFailure(t *testing.T) {
	f := newFixture(t)
	used := revocation.Record{Key: revocation.Key{Kind: revocation.KindUsed}, Revoked: t0, Expires: t0.Add(time.Hour)}
	if err := f.Use(t.Context(), used, sessionRecord("a", time.Hour)); err != nil {
		t.Fatal(err)
	}
	f.has(revocation.KindUsed, false)
	f.has(revocation.KindSession, true)

	f = newFixture(t)
	f.store.putAnyway.Store(true)
	fail(&f.store.putError, errors.New("perhaps"))
	if f.Revoke(t.Context(), sessionRecord("a", time.Hour)) == nil {
		t.Fatal("Revoke succeeds")
	}
	f.has(revocation.KindSession, true)
}
