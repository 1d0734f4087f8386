package endpoint

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// Facts are what somebody who can know says about a token: its issuer's
// signature, or the authorization server.
type Facts struct {
	// Active is false for a token that is forged, expired, or unknown to its
	// issuer. Nothing else counts then.
	Active bool
	// Client is the client_id of the client that it was issued to, or empty if
	// that is not said.
	Client string
	// Issuer and Session name the session that the token belongs to. Either is
	// empty if that is not known.
	Issuer, Session string
	// Expires is when the token ends; zero if that is not said.
	Expires time.Time
	// Refresh says that it is a refresh token, with which a whole session goes.
	Refresh bool
}

// Judge finds out facts about tokens.
type Judge interface {
	// Judge answers false for a token that it cannot know anything about, so
	// that possession decides. An error says that the truth could not be found
	// out now. It must be safe for concurrent use.
	Judge(ctx context.Context, presented string) (facts Facts, known bool, err error)
}

// verdict is what is to become of a token that a client wants revoked.
type verdict struct {
	// records revoke it; none if there is nothing to revoke.
	records []revocation.Record
	// unknown says that there is no such token.
	unknown bool
}

// decide says what becomes of a token. Where nobody vouches for its claims, that
// the client has it is what entitles it to revoke it, and nothing else.
func (e *Endpoint) decide(ctx context.Context, client *Client, presented string) (verdict, *refusal) {
	if strings.TrimSpace(presented) == "" {
		return verdict{}, invalidField("token", "is missing")
	}
	id := token.Identify(presented)
	if id.Ambiguous {
		return verdict{}, invalidField("token", "can be read in more than one way")
	}
	claims, hasClaims := token.ReadClaims(presented)
	if hasClaims {
		if what := claims.NoAccessToken(e.clients.has); what != "" {
			return verdict{}, &refusal{
				status: http.StatusBadRequest, code: "unsupported_token_type",
				description: "this is a " + what + ", which nobody accepts as an access token",
			}
		}
	}
	facts, known, err := e.facts(ctx, presented)
	switch {
	case err != nil:
		return verdict{}, unavailable(err)
	case known && !facts.Active:
		return verdict{unknown: true}, nil
	case known && !client.mayOwn(facts.Client) && client.public():
		return verdict{}, nil // it lives on, and a stranger is not told so
	case known && !client.mayOwn(facts.Client):
		return verdict{}, &refusal{
			status: http.StatusBadRequest, code: "invalid_grant",
			description: "the token was issued to another client",
		}
	}
	now := e.now()
	expires := now.Add(e.retain)
	if hasClaims {
		if end, certain := claims.Expires(); certain || end.After(expires) {
			expires = end
		}
	}
	if facts.Expires.After(expires) || known && !hasClaims && !facts.Expires.IsZero() {
		expires = facts.Expires
	}
	v := verdict{}
	for _, key := range append([]revocation.Key{id.Key}, id.Others...) {
		v.records = append(v.records, revocation.Record{Key: key, Revoked: now, Expires: expires, By: client.by()})
	}
	if facts.Issuer != "" && facts.Session != "" && (e.scope == ScopeSession || facts.Refresh) {
		v.records = append(v.records, revocation.Record{
			Key: revocation.SessionKey(facts.Issuer, facts.Session), Revoked: now, Expires: now.Add(e.retain), By: client.by(),
		})
	}
	return v, nil
}

func (e *Endpoint) facts(ctx context.Context, presented string) (Facts, bool, error) {
	if e.judge == nil {
		return Facts{}, false, nil
	}
	return e.judge.Judge(ctx, presented)
}
