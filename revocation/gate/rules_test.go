package gate

import (
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// ruleOf is a rule of which nothing is said but what it is about: it refuses
// tokens that were issued at or before a time, if that matters for its kind.
func ruleOf(kind revocation.Kind, issuer, value string, issuedBefore time.Time) revocation.Record {
	if !kind.IssuedBefore() {
		issuedBefore = time.Time{}
	}
	return revocation.Record{
		Key: revocation.RuleKey(kind, issuer, value), Issuer: issuer, Value: value, IssuedBefore: issuedBefore,
		Revoked: time.Now(), Expires: time.Now().Add(24 * time.Hour), By: "admin", Operator: true,
	}
}

func rule(tb testing.TB, list *revocation.Denylist, rules ...revocation.Record) {
	tb.Helper()
	if err := list.Revoke(tb.Context(), rules...); err != nil {
		tb.Fatal(err)
	}
}
