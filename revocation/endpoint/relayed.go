package endpoint

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/relay"
)

// byRelay stands in records for a client that does not say who it is.
const byRelay = "relay"

// stranger returns the client of a request that is for the authorization server
// to judge, or nil: no client of this endpoint, or none that can be seen in the
// credentials, or in what is wrong with them.
func (e *Endpoint) stranger(given credentials, wrong *refusal, form parameters) *Client {
	if e.relay == nil || wrong != nil && wrong.code != invalidClientCode {
		return nil
	}
	ids := []string{form["client_id"]}
	for _, reading := range given.readings {
		ids = append(ids, reading.id)
	}
	if slices.ContainsFunc(ids, e.configured.has) {
		return nil
	}
	id := cmp.Or(ids...)
	if strings.TrimSpace(id) == strings.TrimSpace(form["token"]) { // some send it so, and no record may hold it
		id = ""
	}
	return &Client{ID: id[:min(len(id), revocation.MaxText)], stranger: true}
}

// by is who stands in the client's records.
func (c *Client) by() string { return cmp.Or(c.ID, byRelay) }

// proved is the client_id, if this endpoint knows that it is.
func (c *Client) proved() string {
	if c.stranger {
		return ""
	}
	return c.ID
}

// mayOwn says whether a token of the client with an id can be this client's.
// Of one that does not say who it is, only the authorization server knows.
func (c *Client) mayOwn(id string) bool { return id == "" || id == c.ID || c.ID == "" }

// pass has the authorization server decide about a request. Nil is its success.
func (e *Endpoint) pass(ctx context.Context, r *http.Request, b []byte) *refusal {
	a, err := e.relay.Send(ctx, r, e.address(r), b)
	switch {
	case errors.Is(err, relay.ErrBusy):
		return unavailable(err)
	case errors.Is(err, relay.ErrSilent):
		f := unavailable(err)
		f.status, f.description = e.manner.unanswered(), "the authorization server does not answer; try again"
		return f
	case err != nil:
		return &refusal{
			status: http.StatusBadGateway, code: "server_error",
			description: "the authorization server cannot be asked", err: err,
		}
	case !a.Done():
		return &refusal{status: a.Status, code: codeOf(a.Body), relayed: &a}
	}
	return nil
}

// codes are those of RFC 6749 §5.2, RFC 7009 §2.2.1 and RFC 9449 §8.
var codes = []string{
	"invalid_request", invalidClientCode, "invalid_grant", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope", "unsupported_token_type", "invalid_token", "invalid_dpop_proof", "use_dpop_nonce",
}

// codeOf is the error code in an answer of the authorization server, or
// "relayed" if it has none that is known: it may hold anything.
func codeOf(body []byte) string {
	var said struct{ Error string }
	if err := json.Unmarshal(body, &said); err == nil && slices.Contains(codes, said.Error) {
		return said.Error
	}
	return "relayed"
}

// handBack gives the authorization server's answer as it is, under the header
// fields that every answer of this endpoint has.
func handBack(w http.ResponseWriter, a *relay.Answer) (status int) {
	w.Header()["Content-Type"] = nil // where it has none, the server would guess
	for _, name := range []string{
		"Content-Type", "Content-Encoding", "Content-Language", "WWW-Authenticate", "Retry-After", "Allow", "DPoP-Nonce",
	} {
		if values := a.Header.Values(name); len(values) > 0 {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
	return a.Status
}
