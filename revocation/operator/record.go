package operator

import (
	"fmt"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Record is a record of the denylist as the admin API shows it, and as it stands
// in a line of an export.
type Record struct {
	// ID is the kind and the digest of what is revoked, such as "token:9f86…": it
	// names the record.
	ID string `json:"id"`
	// Kind is what is revoked: "token", "session", "jti", "subject", "client",
	// "key" or "issuer"; or "used" for a client assertion that has been used.
	Kind string `json:"kind"`
	// Effect is what becomes of the tokens: "refuse", "count" (a dry run) or
	// "restored" (a revocation was taken back).
	Effect string `json:"effect"`
	// Issuer and Value are what a rule is about, such as an iss and a sub. Of a
	// token or a session that a client has revoked, at most the issuer is known.
	Issuer string `json:"issuer,omitempty"`
	Value  string `json:"value,omitempty"`
	// IssuedBefore: the rule is about tokens that were issued at or before this
	// time, or do not say when.
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	// RevokedAt is when the record was made, or last reversed.
	RevokedAt time.Time `json:"revoked_at"`
	// Expires is until when it matters; it is enforced as much longer as leeway says.
	Expires time.Time `json:"expires"`
	// By is the client_id of the client, or the operator, who made it.
	By       string `json:"by,omitempty"`
	Operator bool   `json:"operator,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Version counts how often the decision was reversed, or made anew after it had
	// ended.
	Version uint64 `json:"version,omitempty"`
	// Trial is what a dry run has shown. It is in no export, and of no interest to
	// an import.
	Trial *Trial `json:"trial,omitempty"`
}

// Trial is what a dry run has shown since this process has known of it.
type Trial struct {
	// Requests is how many requests it would have refused that passed.
	Requests uint64 `json:"requests"`
	// Tokens is how many distinct tokens they had; to about 1 % where they are many.
	Tokens uint64 `json:"tokens"`
	// First and Last are when the first and the last such request came.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// RecordOf is a record as operators see it, without what a dry run has shown.
func RecordOf(r revocation.Record) Record {
	return Record{
		ID: r.Key.ID(), Kind: r.Key.Kind.String(), Effect: r.Effect.String(),
		Issuer: r.Issuer, Value: r.Value, RevokedAt: r.Revoked, Expires: r.Expires,
		By: r.By, Operator: r.Operator, Reason: r.Reason, Version: r.Version,
		IssuedBefore: r.IssuedBefore.UTC(),
	}
}

// RecordIn is a record of a denylist, with what it has shown if it is a dry run.
func RecordIn(list *revocation.Denylist, r revocation.Record) Record {
	seen := RecordOf(r)
	if r.Effect == revocation.Count {
		tried := list.Tried(r.Key)
		seen.Trial = &Trial{
			Requests: tried.Requests, Tokens: tried.Tokens,
			First: tried.First.UTC().Truncate(time.Millisecond), Last: tried.Last.UTC().Truncate(time.Millisecond),
		}
	}
	return seen
}

// Decode is RecordOf the other way round. What else can be wrong with it, the
// denylist finds out.
func (s *Record) Decode() (r revocation.Record, err error) {
	if r.Key, err = revocation.ParseID(s.ID); err != nil {
		return r, err
	}
	if s.Kind != r.Key.Kind.String() {
		return r, fmt.Errorf("%w: the kind is not that of the id", revocation.ErrInvalid)
	}
	if r.Effect, err = revocation.ParseEffect(s.Effect); err != nil {
		return r, err
	}
	if s.Expires.IsZero() {
		return r, fmt.Errorf("%w: a record needs its expires", revocation.ErrInvalid)
	}
	r.Issuer, r.Value, r.IssuedBefore, r.Revoked, r.Expires = s.Issuer, s.Value, s.IssuedBefore, s.RevokedAt, s.Expires
	r.By, r.Operator, r.Reason, r.Version = s.By, s.Operator, s.Reason, s.Version
	return r, nil
}
