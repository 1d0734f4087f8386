package operator_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// explain is "kind: why" of each match, those that refuse with a star.
func (f *fixture) explain(target operator.Target) (operator.Explanation, string) {
	f.t.Helper()
	names, err := token.NewNames(token.Naming{Issuer: idp, Session: "session_id"})
	if err != nil {
		f.t.Fatal(err)
	}
	e, err := operator.Explain(f.t.Context(), f.Denylist, names, target)
	if err != nil {
		f.t.Fatal(err)
	}
	var lines []string
	for _, m := range e.Matches {
		line := m.Record.Key.Kind.String() + ": " + m.Why
		if m.Refuses {
			line = "*" + line
		}
		lines = append(lines, line)
	}
	return e, strings.Join(lines, "\n")
}

func TestExplain(t *testing.T) {
	f := newFixture(t)
	presented := jwt(fmt.Sprintf(`{"iss":%q,"iat":%d,"sub":"alice","client_id":"app","session_id":"s","jti":"j"}`, idp, t0.Unix()))
	undated := jwt(fmt.Sprintf(`{"iss":%q,"sub":"alice"}`, idp))
	check := func(target operator.Target, refused bool, until time.Time, want ...string) {
		t.Helper()
		e, got := f.explain(target)
		if e.Refused != refused || !e.Until.Equal(until) || got != strings.Join(want, "\n") {
			t.Errorf("%v until %s:\n%s", e.Refused, e.Until, got)
		}
	}
	whole, bare := operator.Target{Token: presented}, operator.Target{Token: undated}
	check(whole, false, time.Time{})

	f.revoke(operator.Order{Target: rule("subject", "alice"), IssuedBefore: t0.Add(-time.Second), Expires: t0.Add(time.Hour)})
	check(whole, false, time.Time{}, "subject: it was issued after the time of the rule")
	check(bare, true, t0.Add(time.Hour), "*subject: it does not clearly say when it was issued, and so counts as issued before the rule")
	if e, _ := f.explain(whole); !e.Issued.Equal(t0) {
		t.Errorf("issued %s", e.Issued)
	}

	f.revoke(operator.Order{Target: rule("session", "s"), Expires: t0.Add(2 * time.Hour)})
	f.revoke(operator.Order{Target: rule("jti", "j"), DryRun: true})
	f.revoke(operator.Order{Target: rule("client", "app"), Expires: t0.Add(3 * time.Hour)})
	f.revoke(operator.Order{Target: whole, Expires: t0.Add(time.Minute)})
	f.revoke(operator.Order{Target: rule("issuer", ""), Expires: t0.Add(9 * time.Hour)})
	if _, err := operator.Restore(t.Context(), f.Denylist, rule("issuer", ""), revocation.Decision{}); err != nil {
		t.Fatal(err)
	}
	check(whole, true, t0.Add(3*time.Hour),
		"*token: the token itself is revoked",
		"*session: every token with this claim is revoked",
		"*client: it was issued at or before the time of the rule",
		"jti: a dry run only counts",
		"subject: it was issued after the time of the rule",
		"issuer: the revocation was taken back")

	check(rule("session", "s"), true, t0.Add(2*time.Hour),
		"*session: every token with this claim is revoked", "issuer: the revocation was taken back")
	check(rule("issuer", ""), false, time.Time{}, "issuer: the revocation was taken back")
	check(rule("subject", "bob"), false, time.Time{}, "issuer: the revocation was taken back")
	f.revoke(operator.Order{Target: rule("issuer", "")})
	check(rule("subject", "bob"), true, t0.Add(retain),
		"*issuer: it does not clearly say when it was issued, and so counts as issued before the rule")
	check(operator.Target{ID: revocation.RuleKey(revocation.KindSession, idp, "s").ID()[:len("session:")+12]}, true, t0.Add(2*time.Hour),
		"*session: every token with this claim is revoked")

	used := revocation.Record{Key: revocation.UsedKey("a", "b"), Revoked: t0, Expires: t0.Add(time.Hour), By: "a"}
	if err := f.Use(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	check(operator.Target{ID: used.Key.ID()}, false, time.Time{}, "used: a client assertion that was used, which refuses no token")
}

func TestExplainErrors(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		target operator.Target
		err    error
	}{
		"nothing":               {operator.Target{}, operator.ErrInvalid},
		"token of two readings": {operator.Target{Token: `{"a":NaN}`}, operator.ErrInvalid},
		"claims of two":         {operator.Target{Token: jwt(`{"iss":NaN}`)}, operator.ErrInvalid},
		"no such record":        {operator.Target{ID: "token:0123456789ab"}, revocation.ErrNotFound},
	} {
		if _, err := operator.Explain(t.Context(), f.Denylist, nil, c.target); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Explain(t.Context(), f.Denylist, nil, operator.Target{Token: "a"}); !errors.Is(err, revocation.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
