package operator

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// DefaultBy is who has done what nobody is named for.
const DefaultBy = "admin"

// Order is what an operator wants revoked.
type Order struct {
	Target

	// IssuedBefore is when a token must have been issued, at the latest, for a rule
	// by subject, client, key or issuer to refuse it; zero is now. It may lie in the
	// future: who has stolen a signing key can write any iat.
	IssuedBefore time.Time
	// Expires is when the revocation ends. Zero is the end of the token, as the
	// endpoint would reckon it; or retain after IssuedBefore; or retain from now for
	// a rule by jti or session.
	Expires time.Time
	// DryRun says that a rule is to refuse nothing, but to count what it would.
	DryRun bool

	// By is the name of the operator; empty is DefaultBy.
	By string
	// Reason says why, for people.
	Reason string
}

// Records are what carries the order out, by [revocation.Denylist.Revoke]. That of
// a token may have ended already. Retain is how long tokens live of which that
// cannot be read. The error is [ErrInvalid], and wraps [ErrEnded] too where
// Expires has passed. An id names a record that is there, and so none that is to
// be made.
func (o *Order) Records(now time.Time, retain time.Duration) ([]revocation.Record, error) {
	way, err := o.way()
	if err != nil {
		return nil, err
	}
	if err := checkDecision(o.By, o.Reason); err != nil {
		return nil, err
	}
	if !o.Expires.IsZero() && !o.Expires.After(now) {
		return nil, fmt.Errorf("%w: expires %w", ErrInvalid, ErrEnded)
	}
	switch way {
	case byToken:
		return o.tokenRecords(now, retain)
	case byRule:
		return o.ruleRecords(now, retain)
	}
	return nil, invalid("id", "does not say what to revoke: name a token or a rule")
}

// tokenRecords revoke a token under each of its keys.
func (o *Order) tokenRecords(now time.Time, retain time.Duration) ([]revocation.Record, error) {
	switch {
	case !o.IssuedBefore.IsZero():
		return nil, invalid("issued_before", "is for rules: a token was issued when it was")
	case o.DryRun:
		return nil, invalid("dry_run", "is for rules")
	}
	keys, err := o.tokenKeys()
	if err != nil {
		return nil, err
	}
	claims, _ := token.ReadClaims(o.Token)
	expires := o.Expires
	if expires.IsZero() {
		expires = claims.End(time.Time{}, now.Add(retain))
	} else if end, _ := claims.Expires(); end.After(expires) {
		return nil, invalid("expires", "is before the end of the token itself")
	}
	var records []revocation.Record
	for _, key := range keys {
		records = append(records, o.record(key, now, expires))
	}
	return records, nil
}

// ruleRecords are the one record of a rule.
func (o *Order) ruleRecords(now time.Time, retain time.Duration) ([]revocation.Record, error) {
	kind, issued := o.kind(), o.IssuedBefore
	switch {
	case !kind.IssuedBefore() && !issued.IsZero():
		return nil, invalid("issued_before", "is for rules by subject, client, key or issuer")
	case kind.IssuedBefore() && issued.IsZero():
		issued = now
	}
	expires := o.Expires
	switch {
	case expires.IsZero() && kind.IssuedBefore():
		expires = issued.Add(retain)
	case expires.IsZero():
		expires = now.Add(retain)
	case expires.Before(issued):
		return nil, invalid("expires", "is before issued_before")
	}
	r := o.record(revocation.RuleKey(kind, o.Issuer, o.Value), now, expires)
	r.Issuer, r.Value, r.IssuedBefore = o.Issuer, o.Value, upToMillisecond(issued)
	return []revocation.Record{r}, nil
}

func (o *Order) record(key revocation.Key, now, expires time.Time) revocation.Record {
	effect := revocation.Refuse
	if o.DryRun {
		effect = revocation.Count
	}
	return revocation.Record{
		Key: key, Effect: effect, Revoked: now, Expires: expires,
		By: cmp.Or(o.By, DefaultBy), Operator: true, Reason: o.Reason,
	}
}

// upToMillisecond rounds up: what was issued right before must not be left out.
func upToMillisecond(t time.Time) time.Time {
	if rest := t.Nanosecond() % int(time.Millisecond); rest > 0 {
		return t.Add(time.Millisecond - time.Duration(rest))
	}
	return t
}

// checkDecision refuses what cannot stand as the name of an operator, or a reason.
func checkDecision(by, reason string) error {
	for _, text := range []struct{ field, text string }{{"by", by}, {"reason", reason}} {
		if strings.ContainsFunc(text.text, unicode.IsControl) {
			return invalid(text.field, "has control characters")
		}
		if err := checkText(text.field, text.text); err != nil {
			return err
		}
	}
	return nil
}
