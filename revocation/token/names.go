package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// The claims by which rules know a token, unless an issuer has others.
const (
	issuerClaim  = "iss" // RFC 7519 §4.1.1
	issuedClaim  = "iat" // RFC 7519 §4.1.6
	subjectClaim = "sub" // RFC 7519 §4.1.2
	sessionClaim = "sid" // OpenID Connect Front-Channel Logout §3
	idClaim      = "jti" // RFC 7519 §4.1.7
)

// clientClaims are those of RFC 9068 §2.2, OpenID Connect Core §2, Okta, and
// Entra ID.
var clientClaims = []string{"client_id", "azp", "cid", "appid"}

// Naming says in which claims the tokens of an issuer name what rules are about.
// They count in tokens of that issuer only.
type Naming struct {
	// Issuer is the claim iss of its tokens, to the letter.
	Issuer string
	// Session is where the session stands, beside sid, where it is in any case;
	// empty is nowhere else.
	Session string
	// ID is where the name of the token stands, in place of jti; empty is jti.
	ID string
	// Clients are where the client may stand, in place of client_id, azp, cid and
	// appid; every one that a token has counts. Empty is those.
	Clients []string
}

// Names are the claims in which tokens name what rules are about, by issuer. Nil
// is the usual ones. It is safe for concurrent use.
type Names struct {
	claims []claim
	// usual is what each of the claims stands for, and of the same in the tokens
	// of issuers that have names of their own; any is what it stands for somewhere.
	usual, any []revocation.KindSet
	of         map[string][]revocation.KindSet
}

// claim is one that is looked for, in any case.
type claim struct {
	name  string
	plain string // as plainFold has it
	word  uint64 // wordOf that
}

func newClaim(name string) claim {
	plain := plainFold(name)
	return claim{name: name, plain: plain, word: wordOf(plain)}
}

// These two stand first among the claims of all Names.
const (
	atIssuer = iota
	atIssued
)

// NewNames are the names of issuers, and the usual ones for all others.
func NewNames(issuers ...Naming) (*Names, error) {
	n := &Names{
		claims: []claim{atIssuer: newClaim(issuerClaim), atIssued: newClaim(issuedClaim)},
		of:     make(map[string][]revocation.KindSet, len(issuers)),
	}
	n.usual = n.roles(Naming{})
	for _, i := range issuers {
		switch _, twice := n.of[i.Issuer]; {
		case i.Issuer == "":
			return nil, errors.New("claims of an issuer without a name")
		case twice:
			return nil, fmt.Errorf("the claims of %s are there twice", i.Issuer)
		case slices.Contains(i.Clients, ""):
			return nil, errors.New("a client claim needs a name")
		}
		n.of[i.Issuer] = n.roles(i)
	}
	for _, roles := range n.of {
		n.include(roles)
	}
	n.include(n.usual)
	return n, nil
}

var usualNames, _ = NewNames()

// roles is what the claims stand for in the tokens of an issuer.
func (n *Names) roles(i Naming) (roles []revocation.KindSet) {
	roles = n.add(roles, sessionClaim, revocation.KindSession)
	if i.Session != "" {
		roles = n.add(roles, i.Session, revocation.KindSession)
	}
	if i.ID == "" {
		i.ID = idClaim
	}
	roles = n.add(roles, i.ID, revocation.KindJTI)
	roles = n.add(roles, subjectClaim, revocation.KindSubject)
	if len(i.Clients) == 0 {
		i.Clients = clientClaims
	}
	for _, name := range i.Clients {
		roles = n.add(roles, name, revocation.KindClient)
	}
	return roles
}

// add makes a claim one of those that are looked for, and lets it stand for a kind.
func (n *Names) add(roles []revocation.KindSet, name string, kind revocation.Kind) []revocation.KindSet {
	at := slices.IndexFunc(n.claims, func(c claim) bool { return strings.EqualFold(c.name, name) })
	if at < 0 {
		at = len(n.claims)
		n.claims = append(n.claims, newClaim(name))
	}
	for len(roles) <= at {
		roles = append(roles, 0)
	}
	roles[at] |= revocation.KindsOf(kind)
	return roles
}

func (n *Names) include(roles []revocation.KindSet) {
	n.any = append(n.any, make([]revocation.KindSet, len(n.claims)-len(n.any))...)
	for at, kinds := range roles {
		n.any[at] |= kinds
	}
}

// role is what a claim stands for in the tokens of an issuer.
func role(roles []revocation.KindSet, at int) revocation.KindSet {
	if at < len(roles) {
		return roles[at]
	}
	return 0
}

// plainFold is a name in lower case, where what is a letter of ASCII in another
// case, such as the long s, is that letter.
func plainFold(name string) string { return strings.Map(foldRune, name) }

func foldRune(r rune) rune {
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		if 'a' <= f && f <= 'z' {
			return f
		}
	}
	return r
}

// find is where a plain name stands among the claims, or -1; word is wordOf it.
func (n *Names) find(name []byte, word uint64) int {
	for at := range n.claims {
		if c := &n.claims[at]; c.word == word && len(c.plain) == len(name) && isPlain(name, c.plain) {
			return at
		}
	}
	return -1
}

// isPlain says whether a plain name is the given one, which is as plainFold has it
// and of the same length.
func isPlain(name []byte, lower string) bool {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// findFold is find for any name.
func (n *Names) findFold(name string) int {
	return slices.IndexFunc(n.claims, func(c claim) bool { return strings.EqualFold(c.name, name) })
}
