// Package endpoint answers revocation requests (RFC 7009): who asks, which
// token, and whether it was done.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/relay"
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
	// Audiences are the aud that a client assertion may have in a request (RFC 7523
	// §3): the URL of the endpoint, and the names of those it stands in for. If it
	// is nil, no assertion is accepted.
	Audiences func(*http.Request) []string
	// Judge knows whose tokens are. If it is nil, or with Relay if it does not
	// know, possession decides.
	Judge Judge
	// Relay passes requests on to the authorization server, as they came: only
	// what that accepts is revoked here. A client that is among Clients has to
	// authenticate here first. Any other is left to the server to judge, whose
	// success is the authentication then; its records are By the client_id that
	// it sent, or By "relay" if it sent none, and scripts of web pages cannot read
	// its answers. If Relay is nil, nobody is asked.
	Relay *relay.Relay
	// RateLimit is how many revocations each client may make; zero is
	// DefaultRateLimit. Clients that prove nothing are counted by address too.
	RateLimit RateLimit
	// Limits remembers who has asked how often; nil is limits of its own. With
	// those of the endpoint before, a reload forgives nobody.
	Limits *Limits
	// RemoteAddr is from where a client asks, which behind a proxy is not who
	// holds the connection. An address that is not valid is one that nobody
	// knows, and is limited like any other. Nil is the request's RemoteAddr.
	RemoteAddr func(*http.Request) netip.Addr
	// Revoked is told what a request has revoked, and how its client has
	// authenticated, once that is durable and enforced and before it is answered;
	// nil is nobody. The context is the request's.
	Revoked func(context.Context, Attempt, []revocation.Record)
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
	relay   *relay.Relay
	rate    RateLimit
	limits  *Limits
	address func(*http.Request) netip.Addr
	now     func() time.Time
	revoked func(context.Context, Attempt, []revocation.Record)
	owed    owed

	audiences func(*http.Request) []string
	// configured are all clients, also those that cannot authenticate in the
	// profile: none of them is a stranger.
	configured *Clients
}

// New makes an endpoint.
func New(c Config) (*Endpoint, error) {
	if c.Clients == nil {
		return nil, errors.New("an endpoint needs its clients")
	}
	if c.Retain <= 0 {
		return nil, errors.New("retain must be more than 0")
	}
	c.setDefaults()
	if err := c.RateLimit.validate(); err != nil {
		return nil, err
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
	configured := c.Clients
	if c.Profile == ProfileFAPI {
		c.Clients = c.Clients.only(PrivateKeyJWT, TLSClientAuth)
	}
	return &Endpoint{
		clients: c.Clients, retain: c.Retain, realm: c.Realm,
		manner: manner, scope: scope, judge: c.Judge, relay: c.Relay,
		rate: c.RateLimit, limits: c.Limits, address: c.RemoteAddr, now: c.Now,
		revoked: c.Revoked, audiences: c.Audiences, configured: configured, owed: newOwed(),
	}, nil
}

func (c *Config) setDefaults() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Revoked == nil {
		c.Revoked = func(context.Context, Attempt, []revocation.Record) {}
	}
	if c.RateLimit == (RateLimit{}) {
		c.RateLimit = DefaultRateLimit
	}
	if c.Limits == nil {
		c.Limits = NewLimits()
	}
	if c.Audiences == nil {
		c.Audiences = func(*http.Request) []string { return nil }
	}
	if c.RemoteAddr == nil {
		c.RemoteAddr = remoteAddr
	}
}

// Outcome is what an endpoint did, for logs. It holds nothing secret.
type Outcome struct {
	// Status of the answer.
	Status int
	// Client is the client_id of the client, if it was authenticated here or by
	// the authorization server, or empty.
	Client string
	// Records are those that the answer promises; none of a token that has
	// expired.
	Records []revocation.Record
	// Error is the error code of the answer, "relayed" for an answer of the
	// authorization server that has none, or empty.
	Error string
	// Err is what went wrong on this side, or nil. With a success it says why
	// more than the token itself could not be revoked.
	Err error
	// Unproved is how the client tried to authenticate, if it failed to, or empty.
	Unproved Attempt
	// Limit is what the request was turned away for with status 429, or empty.
	Limit Limit
}

// Lists gives the denylist, or an error while it is not there.
type Lists func(context.Context) (*revocation.Denylist, error)

// Serve answers a request. A panic is answered and reported like any other
// failure on this side, but for [http.ErrAbortHandler], which goes on.
func (e *Endpoint) Serve(lists Lists, w http.ResponseWriter, r *http.Request) (done Outcome) {
	sent := &sentWriter{ResponseWriter: w}
	defer func() {
		if v := recover(); v != nil {
			done = e.panicked(sent, v)
		}
	}()
	return e.serve(lists, sent, r)
}

func (e *Endpoint) serve(lists Lists, w http.ResponseWriter, r *http.Request) Outcome {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	e.cors(h, r)
	refused := e.manner.begin(h, r)
	// Before anything is refused: a server that is to answer waits for what is
	// left of a body, and a client that is to be asked for it (Expect) for that.
	b, err := body.Read(w, r, maxBody)
	if r.Method == http.MethodOptions {
		h.Set("Allow", allow)
		w.WriteHeader(http.StatusNoContent)
		return Outcome{Status: http.StatusNoContent}
	}
	var done Outcome
	if refused == nil {
		done, refused = e.attempt(lists, h, r, b, err)
	}
	if refused == nil {
		done.Status = e.manner.succeed(w)
		return done
	}
	if refused.unproved() {
		e.limits.failed(e.address(r), e.now())
	}
	return Outcome{
		Status: e.refuse(w, refused), Client: done.Client, Error: refused.code, Err: refused.err,
		Unproved: done.Unproved, Limit: refused.limit,
	}
}

// authenticate returns the client that a request proves to come from, by the
// credentials in it. The proof is the record of what must not be used again, or
// nil.
func (e *Endpoint) authenticate(r *http.Request, given credentials) (client *Client, proof *revocation.Record, refused *refusal) {
	if given.assertion != "" {
		return e.assert(r, given)
	}
	client, err := e.clients.authenticate(r.Context(), given, shown(r, e.now()))
	if err != nil {
		return nil, nil, undecided(err)
	}
	if client == nil {
		return nil, nil, invalidClient(given.method == ClientSecretBasic)
	}
	return client, nil, nil
}
