// Package gate finds every token in a request and says whether the request may
// pass.
//
// It looks where the API behind it might look, and reads as leniently as any
// of them might: a candidate too many costs a hash and refuses nothing that is
// not revoked; one too few lets a revoked token through. Where readers could
// truly disagree about what the token is, the request is malformed.
package gate

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// In is a part of a request.
type In string

// The parts of a request in which a token can stand.
const (
	Header In = "header"
	Query  In = "query"
	Cookie In = "cookie"
	Form   In = "form"
)

// Place is where a token may stand, beside those places that are always looked
// at: the header field Authorization with the schemes Bearer and DPoP, and the
// query parameter access_token (RFC 6750 §2, RFC 9449 §7.1).
type Place struct {
	In In
	// Name of the header field, query parameter, cookie or form field.
	Name string
	// Schemes that may stand before the token. Only for header fields.
	Schemes []string
	// MaxSize is the size in bytes up to which a form is read; a larger one is
	// refused. 0 is DefaultMaxForm. Only for form fields.
	MaxSize int64
}

// maxTokens is how many tokens a request may have, and maxCandidates how many
// readings of what may be one: bounds of the work that it can cause.
const (
	maxTokens     = 64
	maxCandidates = 512
)

// Gate checks requests. It is safe for concurrent use.
type Gate struct {
	schemes []string // of Authorization
	headers []headerPlace
	queries []string
	cookies []string
	form    formPlace
	names   *token.Names
}

// New makes a gate that looks at the given places and those that are always
// looked at. Names are the claims by which rules know a token; nil is the usual
// ones.
func New(places []Place, names *token.Names) (*Gate, error) {
	g := &Gate{schemes: []string{"Bearer", "DPoP"}, queries: []string{"access_token"}, names: names}
	for _, p := range places {
		if err := g.add(p); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Gate) add(p Place) error {
	if p.Name == "" {
		return fmt.Errorf("a token place in a %s needs a name", p.In)
	}
	if len(p.Schemes) > 0 && p.In != Header {
		return fmt.Errorf("token %s %s: only a header has schemes", p.In, p.Name)
	}
	if p.MaxSize != 0 && p.In != Form {
		return fmt.Errorf("token %s %s: only a form has a maximum size", p.In, p.Name)
	}
	switch p.In {
	case Header:
		return g.addHeader(p)
	case Query:
		g.queries = append(g.queries, foldName(p.Name))
	case Cookie:
		g.cookies = append(g.cookies, foldName(p.Name))
	case Form:
		return g.form.add(p)
	default:
		return fmt.Errorf("%q is not where a token can stand: use header, query, cookie or form", p.In)
	}
	return nil
}

// Reason is why a request is refused, or that it is not.
type Reason uint8

// The reasons of a decision. Only Passed lets a request pass.
const (
	Unavailable Reason = iota // whether a token is revoked could not be found out
	Revoked                   // a token is revoked
	Malformed                 // readers could disagree about what the token is
	TooLarge                  // a form is larger than what is read
	Unsupported               // a form is encoded in a way that is not read
	Slow                      // a form did not arrive in time
	Passed
)

// String is the reason in a word, for logs and placeholders.
func (r Reason) String() string {
	return [...]string{"unavailable", "revoked", "malformed", "too_large", "unsupported", "slow", "passed"}[r]
}

// Decision is what becomes of a request.
type Decision struct {
	Reason Reason
	// Tokens is how many tokens stood in the places that were looked at, and Looked
	// how many texts were looked up that some server might take for one: if none was,
	// nothing could be revoked.
	Tokens, Looked int
	// Record is the record that revokes, if Reason is Revoked.
	Record *revocation.Record
	// Counted are the dry runs that would have refused the request, each once and
	// at most 64, if Reason is Passed. They know of it already.
	Counted []*revocation.Record
	// Scheme is the authentication scheme with which the token was presented,
	// "Bearer" unless it was "DPoP".
	Scheme string
	// Err says more, and holds nothing of a token. Nil if Reason is Passed.
	Err error
}

// Check looks for tokens in a request and checks each against the denylist. If
// the body is a form that must be looked at, it is read and replaced by a copy.
// Trailer fields that could carry a token, and an upgrade to another version of
// HTTP, are taken out of the request.
func (g *Gate) Check(list *revocation.Denylist, w http.ResponseWriter, r *http.Request) Decision {
	return g.search(search{list: list, names: g.names}, w, r)
}

// Look is Check for those who let pass what they know nothing about: no token is
// revoked, but a request that is refused whatever its tokens are, is refused.
func (g *Gate) Look(w http.ResponseWriter, r *http.Request) Decision {
	return g.search(search{blind: true}, w, r)
}

func (g *Gate) search(s search, w http.ResponseWriter, r *http.Request) Decision {
	g.nothingLater(r)
	s.decision.Scheme = "Bearer"
	if g.authorization(&s, r.Header) && g.query(&s, r.URL.RawQuery) &&
		g.inHeaders(&s, r.Header) && g.inCookies(&s, r.Header) && g.inForm(&s, w, r) {
		s.decision.Reason = Passed
		s.count()
	}
	return s.decision
}

// search is one request being looked at. Its methods return false when the
// request is refused and nothing further matters.
type search struct {
	list     *revocation.Denylist
	blind    bool         // there is no list
	names    *token.Names // of the gate
	tried    []trial
	decision Decision
}

func (s *search) refuse(reason Reason, err error) bool {
	s.decision.Reason, s.decision.Err = reason, err
	return false
}

func (s *search) malformed(what string) bool { return s.refuse(Malformed, fmt.Errorf("%s", what)) }

// token checks a credential that stands where a token belongs.
func (s *search) token(credential string) bool {
	if trim(credential) == "" {
		return true
	}
	s.decision.Tokens++
	return s.reading(credential)
}

// minGuess is the length from which an opaque text is guessed to be a token. What
// is shorter where no token belongs, such as the name of a scheme or an algorithm,
// is in many requests, and to revoke it must not be a way to refuse them all.
const minGuess = 20

// guess checks what stands where no token belongs, but some reader might take
// one from.
func (s *search) guess(credential string) bool {
	credential = trim(credential)
	return len(credential) < minGuess || s.reading(credential)
}

// reading checks what some reader takes for the token: as it stands, and without
// what some drop around it.
func (s *search) reading(credential string) bool {
	credential = trim(credential)
	if credential == "" {
		return true
	}
	id := token.Identify(credential)
	if !s.identity(credential, &id) {
		return false
	}
	bare := strings.TrimFunc(credential, aroundToken)
	if len(bare) == len(credential) || bare == "" {
		return true
	}
	id = token.Identify(bare)
	return s.identity(bare, &id)
}

// aroundToken is true for quotes, and for space of any kind.
func aroundToken(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\'' }

func (s *search) identity(credential string, id *token.Identity) bool {
	if s.decision.Looked++; s.decision.Looked > maxCandidates || s.decision.Tokens > maxTokens {
		return s.malformed("the request has too many tokens")
	}
	if id.Ambiguous {
		return s.malformed("a token can be read in more than one way")
	}
	if s.blind {
		return true
	}
	if !s.settle(s.list.Check(&id.Key), &id.Key) {
		return false
	}
	for i := range id.Others {
		if !s.settle(s.list.Check(&id.Others[i]), &id.Key) {
			return false
		}
	}
	return id.Form != token.JWS || s.rules(credential, &id.Key)
}

// rules checks the rules under which a JWS falls by what it says about itself.
// Nobody has verified that: who forges it refuses no more than a forged token.
func (s *search) rules(credential string, own *revocation.Key) bool {
	rules := s.list.Rules()
	if rules.Kinds == 0 {
		return true
	}
	pass := true
	ok := s.names.Rules(credential, rules.Kinds, func(rule revocation.Rule, issued time.Time) bool {
		pass = s.settle(rules.Check(&rule, issued), own)
		return pass
	})
	if pass && !ok {
		return s.malformed("a token can be read in more than one way")
	}
	return pass
}

// settle is what a verdict about the token with a key means for the request.
func (s *search) settle(verdict revocation.Verdict, own *revocation.Key) bool {
	switch verdict.Outcome {
	case revocation.Clear:
		return true
	case revocation.Counted:
		s.try(verdict.Record, own)
		return true
	case revocation.Revoked:
		s.decision.Record = verdict.Record
		return s.refuse(Revoked, fmt.Errorf("%s was revoked", verdict.Record.Key))
	default:
		return s.refuse(Unavailable, verdict.Err)
	}
}
