package endpoint

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// verdict is what is to become of a token that a client wants revoked.
type verdict struct {
	// token is the key of the token itself.
	token revocation.Key
	// records revoke it; none if there is no such token, or none of this client.
	records []revocation.Record
	// unknown says that there is no such token.
	unknown bool
	// unjudged says why nobody here could tell whose the token is, where the
	// authorization server decides all the same.
	unjudged error
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
	claims, _ := token.ReadClaims(presented)
	if what := claims.NoAccessToken(e.clients.has); what != "" {
		return verdict{}, unsupported(noAccessToken(what))
	}
	v := verdict{token: id.Key}
	var left []revocation.Record
	facts, known, err := e.facts(ctx, presented)
	switch {
	case e.relay == nil:
	case err != nil && e.scope != ScopeSession: // whose session would live on
		facts, known, err, v.unjudged = Facts{}, false, nil, err
	case known && facts.Ended: // by a request like this, whose record could not be stored; or it is none of the judge's
		facts, known, left = Facts{}, false, e.owed.of(id.Key, client.by())
	}
	switch {
	case errors.Is(err, ErrUnclear):
		return verdict{}, invalidField("token", "can be read in more than one way")
	case errors.Is(err, ErrUnsupported):
		return verdict{}, unsupported("the authorization server answers no questions about tokens of this kind")
	case err != nil:
		return verdict{}, unavailable(err)
	case known && !facts.Active:
		return verdict{unknown: true}, nil
	case known && !client.mayOwn(facts.Client):
		return verdict{}, ofAnother(client) // or it lives on, and nobody is told so
	case known && claims.ForClient(e.clients.has):
		return verdict{}, unsupported(noAccessToken("ID token"))
	}
	now := e.now()
	end := e.end(now, claims, known, facts)
	record := revocation.Record{Revoked: now, Expires: end, By: client.by()}
	if len(facts.Issuer) <= revocation.MaxText { // else people have to do without
		record.Issuer = facts.Issuer
	}
	for _, key := range append([]revocation.Key{id.Key}, id.Others...) {
		record.Key = key
		v.records = append(v.records, record)
	}
	if facts.Issuer != "" && facts.Session != "" && (e.scope == ScopeSession || facts.Refresh) {
		record.Key = revocation.SessionKey(facts.Issuer, facts.Session)
		record.Expires = later(end, now.Add(e.retain))
		v.records = append(v.records, record)
	}
	v.records = append(v.records, left...)
	return v, nil
}

func (e *Endpoint) facts(ctx context.Context, presented string) (Facts, bool, error) {
	if e.judge == nil {
		return Facts{}, false, nil
	}
	return e.judge.Judge(ctx, presented)
}

// end is that of a token, as those see it who read its claims or ask whoever stated
// the facts. A token that is past its end and yet active has one that nobody knows.
func (e *Endpoint) end(now time.Time, claims token.Claims, known bool, facts Facts) time.Time {
	retained := now.Add(e.retain)
	end := claims.End(facts.Expires, retained)
	if known && !end.After(now) {
		return later(end, retained)
	}
	return end
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func unsupported(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "unsupported_token_type", description: description}
}

func noAccessToken(what string) string {
	return "this is a " + what + ", which nobody accepts as an access token"
}

// ofAnother refuses the token of another client. A public client could be
// anybody, and is not told whether there is such a token.
func ofAnother(client *Client) *refusal {
	if client.public() {
		return nil
	}
	return &refusal{
		status: http.StatusBadRequest, code: "invalid_grant",
		description: "the token was issued to another client",
	}
}
