package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// Target is what an operator means, named in one of three ways: a token; a rule,
// with Kind, Issuer and Value; or the id of a record.
type Target struct {
	// Token is a token as it would be presented.
	Token string `json:"token"`

	// Kind of a rule: "jti", "session", "subject", "client", "key" or "issuer".
	Kind string `json:"kind"`
	// Issuer is the iss of the tokens that a rule is about.
	Issuer string `json:"issuer"`
	// Value is what stands in their claim: the jti, sid, sub or client_id, or the
	// kid of their header. None with the kind "issuer".
	Value string `json:"value"`

	// ID is that of a record (see [revocation.Key.ID]), of whose digits some may be
	// left out at the end; see [Find].
	ID string `json:"id"`
}

// way is how a target is named.
type way int

const (
	byToken way = iota + 1
	byRule
	byID
)

// way says how the target is named, and whether that is whole.
func (t *Target) way() (way, error) {
	var ways []way
	if t.Token != "" {
		ways = append(ways, byToken)
	}
	if t.Kind != "" || t.Issuer != "" || t.Value != "" {
		ways = append(ways, byRule)
	}
	if t.ID != "" {
		ways = append(ways, byID)
	}
	switch {
	case len(ways) == 0:
		return 0, invalid("the target", "is missing: name a token, a rule (kind, issuer, value) or an id")
	case len(ways) > 1:
		return 0, invalid("the target", "is named in several ways: give a token, a rule (kind, issuer, value) or an id")
	case ways[0] == byRule:
		return byRule, t.checkRule()
	}
	return ways[0], nil
}

func (t *Target) checkRule() error {
	kind := t.kind()
	switch {
	case !kind.Rule():
		return invalid("kind", "must be "+ruleKinds())
	case t.Issuer == "":
		return invalid("issuer", "is missing: a rule is about the tokens of one issuer, by their iss")
	case kind == revocation.KindIssuer && t.Value != "":
		return invalid("value", "must not stand in a rule of kind issuer, which is about all of its tokens")
	case kind != revocation.KindIssuer && t.Value == "":
		return invalid("value", "is missing: a rule of kind "+kind.String()+" needs it")
	}
	if err := checkText("issuer", t.Issuer); err != nil {
		return err
	}
	return checkText("value", t.Value)
}

// kind is that of a rule, or 0.
func (t *Target) kind() revocation.Kind {
	kind, err := revocation.ParseKind(t.Kind)
	if err != nil {
		return 0
	}
	return kind
}

func ruleKinds() string {
	var names []string
	for _, kind := range revocation.Kinds() {
		if kind.Rule() {
			names = append(names, kind.String())
		}
	}
	return strings.Join(names, ", ")
}

// checkText refuses what no record may have: a text that is too long, or a token
// that has come into the wrong field.
func checkText(field, text string) error {
	if len(text) > revocation.MaxText {
		return invalid(field, fmt.Sprintf("is longer than %d bytes", revocation.MaxText))
	}
	isToken := func(part string) bool {
		return (strings.Count(part, ".") > 1 || strings.Contains(part, "{")) && token.Identify(part).Form != token.Opaque
	}
	if isToken(text) || slices.ContainsFunc(strings.FieldsFunc(text, betweenTokens), isToken) {
		return invalid(field, "has a token in it, which must stand in no record")
	}
	return nil
}

// betweenTokens is true for what cannot be part of a JWS or JWE in compact
// serialization.
func betweenTokens(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		return false
	}
	return true
}

// keys are those of the records that are about just the target, which may be none
// yet. The error is [ErrInvalid], or one of [Find].
func (t *Target) keys(ctx context.Context, list *revocation.Denylist) ([]revocation.Key, error) {
	switch way, err := t.way(); {
	case err != nil:
		return nil, err
	case way == byToken:
		return t.tokenKeys()
	case way == byRule:
		return []revocation.Key{revocation.RuleKey(t.kind(), t.Issuer, t.Value)}, nil
	}
	r, err := Find(ctx, list, t.ID)
	if err != nil {
		return nil, err
	}
	return []revocation.Key{r.Key}, nil
}

// tokenKeys are the keys under which a token itself is revoked: more than one if
// it has several signatures.
func (t *Target) tokenKeys() ([]revocation.Key, error) {
	if err := checkToken(t.Token); err != nil {
		return nil, err
	}
	id := token.Identify(t.Token)
	if id.Ambiguous {
		return nil, invalid("token", "can be read in more than one way")
	}
	return slices.Concat([]revocation.Key{id.Key}, id.Others), nil
}

// checkToken refuses what was copied with more than the token: it would be another
// one, and its revocation a success that means nothing.
func checkToken(presented string) error {
	presented = strings.TrimSpace(presented)
	scheme, _, spaced := strings.Cut(presented, " ")
	switch {
	case presented == "":
		return invalid("token", "is empty")
	case spaced && (strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "DPoP")):
		return invalid("token", "begins with a scheme: give what stands behind it")
	case strings.ContainsAny(presented[:1], `"'`) && presented[0] == presented[len(presented)-1]:
		return invalid("token", "stands in quotes: give what stands between them")
	}
	return nil
}
