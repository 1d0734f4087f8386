// Package issuer verifies the tokens of an issuer: that it has signed them, that
// they have not ended, and what it says about them.
package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// The claims that are read unless others are configured.
const (
	DefaultSessionClaim = "sid" // OpenID Connect Front-Channel Logout §3
	DefaultIDClaim      = "jti" // RFC 7519 §4.1.7
)

// DefaultClientClaims are where issuers write the client that a token was issued
// to: RFC 9068 §2.2, OpenID Connect Core §2, Okta, and Entra ID. Not to be changed.
var DefaultClientClaims = []string{"client_id", "azp", "cid", "appid"}

// Config is what is known about an issuer.
type Config struct {
	// URL is the iss claim of its tokens, to the letter.
	URL string
	// Keys are those that it signs with. If nil, its metadata says where they
	// are (OpenID Connect Discovery §4, RFC 8414 §3).
	Keys keys.Set
	// Client fetches the metadata, and the keys that it leads to; nil is one with
	// the usual trust in certificates.
	Client *http.Client
	// Audiences, of which an access token must have one in aud; none if that is
	// of no interest.
	Audiences []string
	// ClientClaims are where the client may stand; the first that a token has
	// counts. Empty is DefaultClientClaims.
	ClientClaims []string
	// SessionClaim is where the session stands, within the issuer; empty is
	// DefaultSessionClaim.
	SessionClaim string
	// IDClaim is where the name of the token itself stands; empty is
	// DefaultIDClaim.
	IDClaim string
	// Leeway is how long beyond its end a token may still be accepted.
	Leeway time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Issuer verifies tokens. It is safe for concurrent use.
type Issuer struct{ c Config }

// New checks what is configured. It fetches nothing yet.
func New(c Config) (*Issuer, error) {
	if c.URL == "" {
		return nil, errors.New("an issuer needs its URL")
	}
	if c.Leeway < 0 {
		return nil, fmt.Errorf("a leeway of %s is negative", c.Leeway)
	}
	if slices.Contains(c.Audiences, "") || slices.Contains(c.ClientClaims, "") {
		return nil, errors.New("an audience or a claim without a name")
	}
	if len(c.ClientClaims) == 0 {
		c.ClientClaims = DefaultClientClaims
	}
	if c.SessionClaim == "" {
		c.SessionClaim = DefaultSessionClaim
	}
	if c.IDClaim == "" {
		c.IDClaim = DefaultIDClaim
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Keys == nil {
		found, err := Discover(c.URL, c.Client, c.Now)
		if err != nil {
			return nil, err
		}
		c.Keys = found
	}
	if remote, ok := c.Keys.(*keys.Remote); ok {
		c.Keys = published{Set: remote, fetched: remote.Fetched, now: c.Now}
	}
	return &Issuer{c: c}, nil
}

// URL is the iss claim of the issuer's tokens.
func (i *Issuer) URL() string { return i.c.URL }

// SessionClaim is where the session stands in the issuer's tokens.
func (i *Issuer) SessionClaim() string { return i.c.SessionClaim }

// Judge implements [endpoint.Judge]. What the issuer's keys have not signed is
// not active; but a token with a symmetric signature, as the refresh tokens of
// Keycloak have, is one that only the issuer itself can know anything about. A
// token that is not valid yet (nbf) will be, and so is active.
func (i *Issuer) Judge(ctx context.Context, presented string) (endpoint.Facts, bool, error) {
	claims, _ := token.ReadClaims(presented)
	if claims.Symmetric() {
		return endpoint.Facts{}, false, nil
	}
	// Whoever has signed it, and with whichever key of long ago.
	if end, certain := claims.Expires(); certain && !i.c.Now().Before(end.Add(i.c.Leeway)) {
		return endpoint.Facts{}, true, nil
	}
	verified, err := keys.Verify(ctx, presented, keys.Asymmetric, i.c.Keys)
	switch {
	case errors.Is(err, keys.ErrForged):
		return endpoint.Facts{}, true, nil
	case err != nil:
		return endpoint.Facts{}, false, fmt.Errorf("issuer %s: %w", i.c.URL, err)
	// The issuer has signed it, but readers will not agree what.
	case !json.Valid(verified.Payload) || !claims.Unique():
		return endpoint.Facts{}, false, endpoint.ErrUnclear
	}
	return i.facts(claims)
}

// facts are what claims say that the issuer has signed. Such claims were read
// from what was verified, as it has one writing only.
func (i *Issuer) facts(claims token.Claims) (endpoint.Facts, bool, error) {
	end, _ := claims.Expires()
	refresh := claims.Refresh()
	switch {
	case !slices.Equal(claims.Texts("iss"), []string{i.c.URL}):
		return endpoint.Facts{}, true, nil
	case !refresh && len(i.c.Audiences) > 0 && !i.meets(claims.Audiences()):
		return endpoint.Facts{Ended: true}, true, nil
	}
	client, err := i.client(claims)
	if err != nil {
		return endpoint.Facts{}, false, err
	}
	f := endpoint.Facts{Active: true, Client: client, Issuer: i.c.URL, Expires: end, Refresh: refresh}
	if sessions := claims.Texts(i.c.SessionClaim); len(sessions) > 0 {
		f.Session = sessions[0]
	}
	return f, true, nil
}

// meets says whether one of a token's audiences is configured.
func (i *Issuer) meets(audiences []string) bool {
	return slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(i.c.Audiences, a) })
}

// client is the client that a token was issued to, or empty if it names none. A
// claim that is there and no text must not make it nobody's, and so anybody's.
func (i *Issuer) client(claims token.Claims) (string, error) {
	for _, name := range i.c.ClientClaims {
		if !claims.Has(name) {
			continue
		}
		texts := claims.Texts(name)
		if len(texts) != 1 || texts[0] == "" {
			return "", endpoint.ErrUnclear
		}
		return texts[0], nil
	}
	return "", nil
}
