package endpoint

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// Facts are what somebody who can know says about a token: its issuer's
// signature, or the authorization server.
type Facts struct {
	// Active is false for a token that is forged, expired, or unknown to its
	// issuer. Nothing but Ended counts then.
	Active bool
	// Ended says of a token that is not active that it may be one all the same to
	// the authorization server that a request is relayed to: one that this has just
	// revoked, or that is of another issuer, or for another audience.
	Ended bool
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
	// that possession decides. The error is ErrUnclear for a token that it would
	// be wrong to call unknown, or ErrUnsupported; any other says that the truth
	// could not be found out now. It must be safe for concurrent use.
	Judge(ctx context.Context, presented string) (facts Facts, known bool, err error)
}

var (
	// ErrUnclear says that a token can be read in more than one way, so that
	// nobody can say that there is no such token, nor what else goes with it.
	ErrUnclear = errors.New("the token can be read in more than one way")

	// ErrUnsupported says that a judge answers no questions about tokens of this
	// kind, today or later.
	ErrUnsupported = errors.New("the authorization server knows nothing about tokens of this kind")
)

// Judges know together what each of them knows alone.
type Judges struct {
	// Issuers verify the tokens of issuers, by the iss claim of these.
	Issuers map[string]Judge
	// Introspection knows all others; nil is nobody. A token with a signature of
	// nobody here is none then, as long as there are issuers.
	Introspection Judge
}

// Judge implements [Judge]. The iss of a token says no more than whom to ask.
func (j Judges) Judge(ctx context.Context, presented string) (Facts, bool, error) {
	compact, ok := token.Compact(presented)
	if !ok { // some API may take it, and no judge knows what that sees in it
		return Facts{}, false, ErrUnclear
	}
	claims, _ := token.ReadClaims(compact)
	for _, iss := range claims.Texts("iss") {
		if issuer := j.Issuers[iss]; issuer != nil {
			if facts, known, err := issuer.Judge(ctx, compact); known || err != nil {
				return facts, known, err
			}
		}
	}
	if j.Introspection != nil {
		return j.Introspection.Judge(ctx, compact)
	}
	return Facts{Ended: true}, len(j.Issuers) > 0 && token.Identify(compact).Form == token.JWS, nil
}
