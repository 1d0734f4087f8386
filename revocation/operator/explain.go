package operator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// Explanation is what becomes of a target, and why.
type Explanation struct {
	// Refused is whether the token is refused; of a rule or a record, whether a
	// token that falls under it is, and does not say when it was issued.
	Refused bool
	// Until is when the last record that refuses expires; zero if none does. The
	// denylist enforces it as much longer as its leeway is.
	Until time.Time
	// Issued is when the token was issued; zero if it does not clearly say so, or
	// the target is none.
	Issued time.Time
	// Matches are all records that are about the target, those that refuse first,
	// and then by kind.
	Matches []Match
}

// Match is a record that is about a target.
type Match struct {
	Record revocation.Record
	// Refuses is whether the target is refused because of it, and Why why or why not.
	Refuses bool
	Why     string
}

// Explain finds out what the gate makes of a target, as of now. Names are the
// claims by which the gate knows tokens; nil is the usual ones. The error is
// [ErrInvalid], also for a token that can be read in more than one way and so is
// malformed to the gate; one of [Find]; or one of the denylist.
func Explain(ctx context.Context, list *revocation.Denylist, names *token.Names, target Target) (Explanation, error) {
	var e Explanation
	keys, err := target.keys(ctx, list)
	if err != nil {
		return e, err
	}
	switch {
	case target.Token != "":
		known := names.Keys(target.Token)
		if known.Ambiguous {
			return e, invalid("token", "can be read in more than one way, and so is refused as malformed")
		}
		keys, e.Issued = known.All, known.Issued
	case target.Kind != "" && target.kind() != revocation.KindIssuer:
		keys = append(keys, revocation.RuleKey(revocation.KindIssuer, target.Issuer, ""))
	}
	for _, key := range keys {
		if err := e.look(list, key); err != nil {
			return Explanation{}, err
		}
	}
	slices.SortFunc(e.Matches, func(a, b Match) int {
		switch {
		case a.Refuses == b.Refuses:
			return a.Record.Key.Compare(b.Record.Key)
		case a.Refuses:
			return -1
		}
		return 1
	})
	return e, nil
}

// look takes in the record of a key, if there is one.
func (e *Explanation) look(list *revocation.Denylist, key revocation.Key) error {
	r, err := list.Get(key)
	if errors.Is(err, revocation.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	verdict := list.CheckIssued(&key, e.Issued)
	if verdict.Outcome == revocation.Unknown {
		return verdict.Err
	}
	m := Match{Record: r, Refuses: verdict.Outcome == revocation.Revoked && key.Kind != revocation.KindUsed}
	m.Why = why(&m, e.Issued)
	e.Matches = append(e.Matches, m)
	if m.Refuses {
		e.Refused = true
		if r.Expires.After(e.Until) {
			e.Until = r.Expires
		}
	}
	return nil
}

// The texts of [Match.Why].
const (
	whyToken    = "the token itself is revoked"
	whyRule     = "every token with this claim is revoked"
	whyIssued   = "it was issued at or before the time of the rule"
	whyUndated  = "it does not clearly say when it was issued, and so counts as issued before the rule"
	whyLater    = "it was issued after the time of the rule"
	whyRestored = "the revocation was taken back"
	whyDryRun   = "a dry run only counts"
	whyUsed     = "a client assertion that was used, which refuses no token"
)

func why(m *Match, issued time.Time) string {
	kind := m.Record.Key.Kind
	switch {
	case kind == revocation.KindUsed:
		return whyUsed
	case m.Record.Effect == revocation.Restored:
		return whyRestored
	case m.Record.Effect == revocation.Count:
		return whyDryRun
	case !m.Refuses:
		return whyLater
	case !kind.Rule():
		return whyToken
	case !kind.IssuedBefore():
		return whyRule
	case issued.IsZero():
		return whyUndated
	}
	return whyIssued
}
