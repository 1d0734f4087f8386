package introspection

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // knows case, and refuses a name that stands twice

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// answer is what counts of an answer (RFC 7662 §2.2). That there are sid,
// token_use and typ is a habit of authorization servers.
type answer struct {
	Active    *bool    `json:"active"`
	ClientID  *string  `json:"client_id"`
	Expires   *float64 `json:"exp"`
	Issuer    *string  `json:"iss"`
	Session   *string  `json:"sid"`
	TokenType *string  `json:"token_type"`
	TokenUse  *string  `json:"token_use"`
	Type      *string  `json:"typ"`
}

// read reads an answer. Its error does not quote it: it may hold the token.
func read(b []byte) (endpoint.Facts, error) {
	var a answer
	if err := json.Unmarshal(b, &a); err != nil || a.Active == nil {
		return endpoint.Facts{}, fmt.Errorf("%w: not an object with active, or with a claim of another type", ErrAnswer)
	}
	if !*a.Active {
		return endpoint.Facts{Ended: true}, nil
	}
	return endpoint.Facts{
		Active: true, Client: text(a.ClientID), Issuer: text(a.Issuer), Session: text(a.Session), Expires: a.end(),
		Refresh: saysRefresh(a.TokenType) || saysRefresh(a.TokenUse) || saysRefresh(a.Type),
	}, nil
}

func (a *answer) end() time.Time {
	if a.Expires == nil || *a.Expires <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(math.Ceil(min(*a.Expires, float64(revocation.MaxExpires.Unix())))), 0)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// saysRefresh knows the words that authorization servers have for a refresh
// token: refresh_token (Hydra, and RFC 7009 §2.1), Refresh (Keycloak), and the
// URN of RFC 8693 §3.
func saysRefresh(s *string) bool {
	switch strings.ToLower(text(s)) {
	case "refresh", "refresh_token", "urn:ietf:params:oauth:token-type:refresh_token":
		return true
	}
	return false
}

// saysUnsupported knows the error of servers that answer no questions about
// tokens of a kind, such as JWTs (RFC 7009 §2.2.1).
func saysUnsupported(b []byte) bool {
	var refusal struct {
		Error string `json:"error"`
	}
	return json.Unmarshal(b, &refusal) == nil && refusal.Error == "unsupported_token_type"
}

// isRefresh says whether a token that is active says of itself that it is a
// refresh token.
func isRefresh(presented string) bool {
	claims, ok := token.ReadClaims(presented)
	return ok && claims.Refresh()
}
