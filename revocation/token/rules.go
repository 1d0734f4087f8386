package token

import (
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// maxTexts bounds how many issuers, values and rules a token may have. It has one
// issuer and a handful of rules; more is an attempt at something.
const maxTexts = 32

// Rules calls f with each rule of some kinds under which a token falls, by what it
// says about itself: every rule that some reader could find there, whichever of
// several claims with one name it takes, in any case. Nothing in it has been
// verified. A token that names no issuer falls under none, and neither does one
// that is not a JWS. The rule belongs to the call, texts and all. If f returns
// false, that was the last.
//
// Issued is the earliest time at which some reader could take the token to be
// issued (iat), or zero where some reader could see none.
//
// It answers false where readers could find rules that f was not called with. For
// a token as issuers write it, it does not allocate.
func (n *Names) Rules(presented string, kinds revocation.KindSet, f func(rule revocation.Rule, issued time.Time) bool) (ok bool) {
	if n == nil {
		n = usualNames
	}
	r := readings.Get().(*reading)
	defer r.release()
	payload, kids, ok := parts(trim(presented), kinds.Has(revocation.KindKey))
	return ok && n.read(r, payload, kinds) && n.each(r, kids, kinds, f)
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
		ok := n.Rules(presented, revocation.AllRules, func(rule revocation.Rule, issued time.Time) bool {
			k.All, k.Issued = append(k.All, rule.Key()), issued
			return true
		})
		k.Ambiguous = k.Ambiguous || !ok
	}
	return k
}

// each calls f with the rules that were found, until it returns false. It answers
// false if there are too many.
func (n *Names) each(r *reading, kids []string, kinds revocation.KindSet, f func(revocation.Rule, time.Time) bool) bool {
	issued, left := r.issued.time(), maxTexts
	for _, issuer := range r.issuers {
		roles, own := n.of[issuer]
		if !own {
			roles = n.usual
		}
		if left -= 1 + len(kids); left < 0 {
			return false
		}
		if kinds.Has(revocation.KindIssuer) && !f(revocation.Rule{Kind: revocation.KindIssuer, Issuer: issuer}, issued) {
			return true
		}
		for _, kid := range kids {
			if !f(revocation.Rule{Kind: revocation.KindKey, Issuer: issuer, Value: kid}, issued) {
				return true
			}
		}
		for i, of := range r.values {
			stands := role(roles, of.at) & kinds
			for kind := revocation.KindSession; stands>>kind != 0; kind++ {
				if !stands.Has(kind) || repeated(r.values[:i], of.text, roles, kind) {
					continue
				}
				if left--; left < 0 {
					return false
				}
				if !f(revocation.Rule{Kind: kind, Issuer: issuer, Value: of.text}, issued) {
					return true
				}
			}
		}
	}
	return true
}

// repeated says whether a value stands for the same as one before it, as azp often
// does for client_id.
func repeated(before []value, text string, roles []revocation.KindSet, kind revocation.Kind) bool {
	return slices.ContainsFunc(before, func(b value) bool { return b.text == text && role(roles, b.at).Has(kind) })
}
