// Package endpoint answers revocation requests (RFC 7009): who asks, which
// token, and whether it was done.
package endpoint

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// commitTimeout bounds how long a client waits for its revocation to become
// durable.
const commitTimeout = 10 * time.Second

const allow = "POST, OPTIONS"

// Config is how an endpoint answers.
type Config struct {
	// Clients are those who may revoke.
	Clients *Clients
	// Retain is how long the record of a token is kept whose end cannot be
	// read; more than 0.
	Retain time.Duration
	// Realm stands in the challenge of Basic authentication.
	Realm string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Endpoint answers revocation requests. It is safe for concurrent use.
type Endpoint struct {
	clients *Clients
	retain  time.Duration
	realm   string
	now     func() time.Time
}

// New makes an endpoint.
func New(c Config) (*Endpoint, error) {
	if c.Clients == nil {
		return nil, errors.New("an endpoint needs its clients")
	}
	if c.Retain <= 0 {
		return nil, errors.New("retain must be more than 0")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Endpoint{clients: c.Clients, retain: c.Retain, realm: c.Realm, now: c.Now}, nil
}

// Outcome is what an endpoint did, for logs. It holds nothing secret.
type Outcome struct {
	// Status of the answer.
	Status int
	// Client is the client_id of the authenticated client, or empty.
	Client string
	// Records are those that the answer promises; none of a token that has
	// expired.
	Records []revocation.Record
	// Error is the error code of the answer, or empty.
	Error string
	// Err is what went wrong on this side, or nil.
	Err error
}

// Lists gives the denylist, or an error while it is not there.
type Lists func(context.Context) (*revocation.Denylist, error)

// Serve answers a request.
func (e *Endpoint) Serve(lists Lists, w http.ResponseWriter, r *http.Request) Outcome {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	e.cors(h, r)
	// Before anything is refused: a server that is to answer waits for what is
	// left of a body, and a client that is to be asked for it (Expect) for that.
	b, err := body.Read(w, r, maxBody)
	if r.Method == http.MethodOptions {
		h.Set("Allow", allow)
		w.WriteHeader(http.StatusNoContent)
		return Outcome{Status: http.StatusNoContent}
	}
	var done Outcome
	form, refused := readForm(r, b, err)
	if refused == nil {
		refused = e.revoke(lists, h, r, form, &done)
	}
	if refused != nil {
		e.refuse(w, refused)
		return Outcome{Status: refused.status, Client: done.Client, Error: refused.code, Err: refused.err}
	}
	done.Status = http.StatusOK
	answer(w, done.Status, struct{}{})
	return done
}

// revoke does what a form asks for. Everything that can be wrong with the
// request is found before anything is done.
func (e *Endpoint) revoke(lists Lists, h http.Header, r *http.Request, form parameters, done *Outcome) *refusal {
	client, refused := e.authenticate(r, form)
	if refused != nil {
		return refused
	}
	done.Client = client.ID
	corsOf(client, h)
	records, refused := e.records(client, form["token"])
	if refused != nil {
		return refused
	}
	// A client that hangs up has asked all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), commitTimeout)
	defer cancel()
	list, err := lists(ctx)
	if err == nil {
		err = list.Revoke(ctx, records...)
	}
	if err != nil {
		return unavailable(err)
	}
	done.Records = slices.DeleteFunc(records, func(r revocation.Record) bool { return !list.Live(&r) })
	return nil
}

func (e *Endpoint) authenticate(r *http.Request, form parameters) (*Client, *refusal) {
	given, refused := present(r.Header["Authorization"], form)
	if refused != nil {
		return nil, refused
	}
	client, err := e.clients.authenticate(r.Context(), given)
	if err != nil {
		return nil, unavailable(err)
	}
	if client == nil {
		return nil, invalidClient(given.method == ClientSecretBasic)
	}
	return client, nil
}

// records are those that revoke a token. Nobody has vouched for its claims:
// that the client has it is what entitles it to revoke it, and nothing else.
func (e *Endpoint) records(client *Client, presented string) ([]revocation.Record, *refusal) {
	if strings.TrimSpace(presented) == "" {
		return nil, invalidRequest("token is missing")
	}
	id := token.Identify(presented)
	if id.Ambiguous {
		return nil, invalidRequest("token can be read in more than one way")
	}
	now := e.now()
	expires := now.Add(e.retain)
	if claims, ok := token.ReadClaims(presented); ok {
		if what := claims.NoAccessToken(e.clients.has); what != "" {
			return nil, &refusal{
				status: http.StatusBadRequest, code: "unsupported_token_type",
				description: "this is a " + what + ", which nobody accepts as an access token",
			}
		}
		end, certain := claims.Expires()
		if certain || end.After(expires) {
			expires = end
		}
	}
	var records []revocation.Record
	for _, key := range append([]revocation.Key{id.Key}, id.Others...) {
		records = append(records, revocation.Record{Key: key, Revoked: now, Expires: expires, By: client.ID})
	}
	return records, nil
}
