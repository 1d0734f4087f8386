// Package endpoint answers revocation requests (RFC 7009): who asks, which
// token, and whether it was done.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
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
	// Profile is the API that the endpoint stands in for; empty is ProfileRFC7009.
	Profile Profile
	// Revoke is how much dies with a token; empty is what the profile says.
	Revoke Scope
	// Judge knows whose tokens are. If it is nil, possession decides.
	Judge Judge
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Endpoint answers revocation requests. It is safe for concurrent use.
type Endpoint struct {
	clients *Clients
	retain  time.Duration
	realm   string
	manner  manner
	scope   Scope
	judge   Judge
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
	manner, scope, err := mannerOf(c.Profile)
	if err != nil {
		return nil, err
	}
	switch c.Revoke {
	case "":
	case ScopeToken, ScopeSession:
		scope = c.Revoke
	default:
		return nil, fmt.Errorf("revoke %q does not exist", c.Revoke)
	}
	return &Endpoint{
		clients: c.Clients, retain: c.Retain, realm: c.Realm,
		manner: manner, scope: scope, judge: c.Judge, now: c.Now,
	}, nil
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
	done, refused := e.attempt(lists, h, r, b, err)
	if refused != nil {
		return Outcome{Status: e.refuse(w, refused), Client: done.Client, Error: refused.code, Err: refused.err}
	}
	done.Status = e.manner.succeed(w)
	return done
}

// attempt does what a request asks for. Everything that can be wrong with the
// request is found before anything is done.
func (e *Endpoint) attempt(lists Lists, h http.Header, r *http.Request, b []byte, err error) (done Outcome, refused *refusal) {
	if refused = e.manner.begin(h, r); refused != nil {
		return done, refused
	}
	form, refused := e.manner.read(r, b, err)
	if refused != nil {
		return done, refused
	}
	client, proof, refused := e.authenticate(r, form)
	if refused != nil {
		return done, refused
	}
	done.Client = client.ID
	corsOf(client, h)
	// A client that hangs up has asked all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), commitTimeout)
	defer cancel()
	v, refused := e.decide(ctx, client, form["token"])
	if refused != nil {
		return done, refused
	}
	list, err := lists(ctx)
	if err != nil {
		return done, unavailable(err)
	}
	v.records = slices.DeleteFunc(v.records, func(r revocation.Record) bool { return !list.Live(&r) })
	if refused = e.commit(ctx, list, proof, v.records); refused != nil {
		return done, refused
	}
	done.Records = v.records
	if len(v.records) == 0 {
		return done, e.manner.unknown()
	}
	return done, nil
}

// commit makes records durable, and with them that the proof has been used.
func (e *Endpoint) commit(ctx context.Context, list *revocation.Denylist, proof *revocation.Record, records []revocation.Record) *refusal {
	var err error
	if proof != nil {
		err = list.Use(ctx, *proof, records...)
	} else {
		err = list.Revoke(ctx, records...)
	}
	switch {
	case errors.Is(err, revocation.ErrUsed):
		return invalidClient(false)
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// authenticate returns the client that a request proves to come from. The proof
// is the record of what must not be used again, or nil.
func (e *Endpoint) authenticate(r *http.Request, form parameters) (client *Client, proof *revocation.Record, refused *refusal) {
	given, refused := e.manner.credentials(r.Header["Authorization"], form)
	if refused != nil {
		return nil, nil, refused
	}
	client, err := e.clients.authenticate(r.Context(), given)
	if err != nil {
		return nil, nil, unavailable(err)
	}
	if client == nil {
		return nil, nil, invalidClient(given.method == ClientSecretBasic)
	}
	return client, nil, nil
}
