package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/gate"
)

// retryAfter is when a client may try again whose token could not be checked,
// in seconds.
const retryAfter = "2"

// refusal is how a request is turned away.
type refusal struct {
	reason string
	status int
	// code and description are those of the challenge (RFC 6750 §3); without a
	// code it says only that a token is needed.
	code, description string
	challenge         bool
	err               error
}

func refusalOf(d gate.Decision) refusal {
	f := refusal{reason: reasonOf(d.Reason), err: d.Err}
	switch d.Reason {
	case gate.Passed: // with a token required, and none found
		f.status, f.challenge = http.StatusUnauthorized, true
		f.err = errors.New("the request has no token")
	case gate.Revoked:
		f.status, f.challenge = http.StatusUnauthorized, true
		f.code, f.description = "invalid_token", "The access token was revoked"
	case gate.Malformed:
		f.status, f.challenge = http.StatusBadRequest, true
		f.code, f.description = "invalid_request", "The request is malformed"
	case gate.TooLarge:
		f.status = http.StatusRequestEntityTooLarge
	case gate.Unsupported:
		f.status = http.StatusUnsupportedMediaType
	case gate.Slow:
		f.status = http.StatusRequestTimeout
	default:
		f.status = http.StatusServiceUnavailable
		if errors.Is(f.err, revocation.ErrClosed) {
			f.err = errors.New("the denylist was closed by a new configuration")
		}
	}
	return f
}

// reasonOf names why a request is refused. One that has passed the gate is refused
// where a token is required, and it has none.
func reasonOf(r gate.Reason) string {
	if r == gate.Passed {
		return "no_token"
	}
	return r.String()
}

// refuse turns a request away: with an error, so that handle_errors can shape
// the answer, and with headers that hold whatever it says.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, d gate.Decision) error {
	f := refusalOf(d)
	w.Header().Set("Cache-Control", "no-store")
	if f.challenge {
		w.Header().Set("WWW-Authenticate", challenge(d.Scheme, h.Realm, f))
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	if replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		setPlaceholders(replacer, f.reason, d.Record)
	}
	note(r.Context(), finding{reason: f.reason, record: d.Record})
	return caddyhttp.Error(f.status, f.err)
}

// setPlaceholders sets all of them: one that is not set stands in an answer as
// it was written.
func setPlaceholders(replacer *caddy.Replacer, reason string, record *revocation.Record) {
	const prefix = "http.token_revocation."
	var kind, digest, revokedAt, expires, client string
	if record != nil {
		kind, digest, client = record.Key.Kind.String(), record.Key.Prefix(), record.By
		revokedAt, expires = record.Revoked.Format(time.RFC3339), record.Expires.Format(time.RFC3339)
	}
	replacer.Set(prefix+"reason", reason)
	replacer.Set(prefix+"kind", kind)
	replacer.Set(prefix+"digest", digest)
	replacer.Set(prefix+"revoked_at", revokedAt)
	replacer.Set(prefix+"expires", expires)
	replacer.Set(prefix+"client", client)
}

// challenge is the value of WWW-Authenticate (RFC 6750 §3, RFC 9449 §7.1).
func challenge(scheme, realm string, f refusal) string {
	c := scheme + ` realm="` + endpoint.Quoted(realm) + `"`
	if f.code != "" {
		c += `, error="` + f.code + `", error_description="` + f.description + `"`
	}
	return c
}
