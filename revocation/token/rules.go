package token

import (
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// maxTexts bounds how many issuers, values and rules a token may have. It has one
// issuer and a handful of rules; more is an attempt at something.
const maxTexts = 32

// Rules appends the keys of all rules of some kinds under which a token falls, by
// what it says about itself: every key that some reader could find there,
// whichever of several claims with one name it takes, in any case. Nothing in it
// has been verified. A token that names no issuer falls under none, and neither
// does one that is not a JWS.
//
// Issued is the earliest time at which some reader could take it to be issued
// (iat), or zero where some reader could see none.
//
// It answers false where readers could find rules that are not in the list. For a
// token as issuers write it, it does not allocate.
func (n *Names) Rules(keys []revocation.Key, presented string, kinds revocation.KindSet) (_ []revocation.Key, issued time.Time, ok bool) {
	if n == nil {
		n = usualNames
	}
	r := readings.Get().(*reading)
	defer r.release()
	payload, kids := parts(trim(presented), kinds.Has(revocation.KindKey))
	if !n.read(r, payload, kinds) {
		return keys, time.Time{}, false
	}
	keys, ok = n.appendKeys(keys, r, kids, kinds)
	return keys, r.issued.time(), ok
}

// Keys are everything that a token is known by.
type Keys struct {
	// All are its own key, those of its further signatures, and those of rules.
	All []revocation.Key
	// Issued is when it was issued, as [Names.Rules] has it.
	Issued time.Time
	// Ambiguous says that it can be read in more than one way, so that these may
	// not be all. No such token is to be trusted.
	Ambiguous bool
}

// Keys lists everything that a presented token is known by.
func (n *Names) Keys(presented string) Keys {
	id := Identify(presented)
	k := Keys{All: append([]revocation.Key{id.Key}, id.Others...), Ambiguous: id.Ambiguous}
	if id.Form == JWS {
		var ok bool
		k.All, k.Issued, ok = n.Rules(k.All, presented, revocation.AllRules)
		k.Ambiguous = k.Ambiguous || !ok
	}
	return k
}

// appendKeys appends the keys of what was found. It answers false if there are
// too many.
func (n *Names) appendKeys(keys []revocation.Key, r *reading, kids []string, kinds revocation.KindSet) ([]revocation.Key, bool) {
	most := len(keys) + maxTexts
	for _, issuer := range r.issuers {
		roles, own := n.of[issuer]
		if !own {
			roles = n.usual
		}
		for i, v := range r.values {
			stands := role(roles, v.at) & kinds
			for kind := revocation.KindSession; stands>>kind != 0; kind++ {
				if stands.Has(kind) && !repeated(r.values[:i], v.text, roles, kind) {
					keys = append(keys, revocation.RuleKey(kind, issuer, v.text))
				}
			}
		}
		for _, kid := range kids {
			keys = append(keys, revocation.RuleKey(revocation.KindKey, issuer, kid))
		}
		if kinds.Has(revocation.KindIssuer) {
			keys = append(keys, revocation.RuleKey(revocation.KindIssuer, issuer, ""))
		}
		if len(keys) > most {
			return keys, false
		}
	}
	return keys, true
}

// repeated says whether a value stands for the same as one before it, as azp often
// does for client_id.
func repeated(before []value, text string, roles []revocation.KindSet, kind revocation.Kind) bool {
	return slices.ContainsFunc(before, func(b value) bool { return b.text == text && role(roles, b.at).Has(kind) })
}
