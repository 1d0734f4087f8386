package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/gate"
)

func init() { caddy.RegisterModule(new(Handler)) }

const (
	defaultEndpoint = "/token/revocation"
	defaultRealm    = "restricted"
	endpointOff     = "off"
)

// Handler answers revocation requests (RFC 7009) at one path, and refuses every
// other request that carries a revoked token before the handlers behind it see
// the request. It looks at every token in a request, wherever one may stand: the
// `Authorization` header field (schemes `Bearer` and `DPoP`), the query
// parameter `access_token`, and the places that are configured.
//
// A refusal is an error, so that `handle_errors` can shape the answer. It sets
// these placeholders:
//
// Placeholder | Description
// ------------|------------
// `{http.token_revocation.reason}` | Why: `revoked`, `no_token`, `malformed`, `too_large`, `unsupported`, `slow` or `unavailable`
// `{http.token_revocation.kind}` | What is revoked: `token`, `session`, `jti`, `subject`, `client`, `key` or `issuer`
// `{http.token_revocation.digest}` | The first 12 hexadecimal digits of the digest under which that is revoked
// `{http.token_revocation.revoked_at}` | When it was revoked (RFC 3339)
// `{http.token_revocation.expires}` | Until when that matters (RFC 3339)
// `{http.token_revocation.client}` | The client_id of the client, or the name of the operator, that revoked it
//
// The line of the request in the access log has the first three as
// `token_revocation`, and so has that of a request which a dry run would have
// refused, with `reason` `passed` and the dry runs in `dry_run`. In a span of the
// directive `tracing` they are attributes.
type Handler struct {
	// The path at which revocation requests are answered, or `off`. Default:
	// `/token/revocation`.
	Endpoint string `json:"endpoint,omitempty"`

	// The kind of API that the endpoint stands in for: `rfc7009`, `session` (a
	// revocation ends the whole session), `json` (JSON or form bodies, success
	// 204, 422 with a message per field) or `fapi` (`x-fapi-*` header fields,
	// success 204, 404 for an unknown token). Default: `rfc7009`.
	Profile string `json:"profile,omitempty"`

	// What a revocation ends: `token`, where a refresh token takes its session
	// along, or `session`, where any token does. The session must be known from
	// an issuer or by introspection. Default: what the profile says, which is
	// `token` but for the profile `session`.
	Revoke string `json:"revoke,omitempty"`

	// The authorization server's own revocation endpoint, to which requests are
	// sent on. Default: none.
	Relay *Relay `json:"relay,omitempty"`

	// How many revocations a client may make. Default: 100 a second.
	RateLimit *RateLimit `json:"rate_limit,omitempty"`

	// Where to look for tokens beside the places that are always looked at.
	Tokens []TokenPlace `json:"tokens,omitempty"`

	// Whether to refuse requests without a token, with status 401. Default:
	// they pass, since they carry nothing that could be revoked.
	RequireToken bool `json:"require_token,omitempty"`

	// What to do with a request whose token may have been revoked without this
	// node having been told: `deny` or `allow`. Default: what the app says.
	WhenUnavailable string `json:"when_unavailable,omitempty"`

	// The realm in `WWW-Authenticate`. Default: `restricted`.
	Realm string `json:"realm,omitempty"`

	app      *App
	logger   *zap.Logger
	gate     *gate.Gate
	endpoint *endpoint.Endpoint // nil if it is off
}

// TokenPlace is a place in a request where a token may stand.
type TokenPlace struct {
	// The part of the request: `header`, `query`, `cookie` or `form`.
	In string `json:"in,omitempty"`

	// The name of the header field, query parameter, cookie or form field. A
	// header field is also read as a list, so that `Sec-WebSocket-Protocol` is
	// one of them.
	Name string `json:"name,omitempty"`

	// For a header field: the schemes that may stand before the token. A token
	// without one is found too. With the name `Authorization`: the schemes that
	// are looked at beside `Bearer` and `DPoP`.
	Schemes []string `json:"schemes,omitempty"`

	// For a form field: up to which size, in bytes, forms are read. A larger one
	// is refused with status 413. Default: 65536.
	MaxSize int64 `json:"max_size,omitempty"`
}

func (p *TokenPlace) place() gate.Place {
	return gate.Place{In: gate.In(p.In), Name: p.Name, Schemes: p.Schemes, MaxSize: p.MaxSize}
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.token_revocation",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the configuration and finds the app, which is there with its
// defaults if it is not configured.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if err := h.setDefaults(); err != nil {
		return err
	}
	places := make([]gate.Place, 0, len(h.Tokens))
	for _, p := range h.Tokens {
		places = append(places, p.place())
	}
	app, err := ctx.App(appName)
	if err != nil {
		return err
	}
	h.app = app.(*App)
	if h.gate, err = gate.New(places, h.app.names); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if h.Endpoint == endpointOff {
		return nil
	}
	if h.endpoint, err = h.newEndpoint(ctx); err != nil {
		return err
	}
	h.app.endpoints = append(h.app.endpoints, h)
	return nil
}

func (h *Handler) setDefaults() error {
	for _, option := range []struct {
		name    string
		value   *string
		initial string
	}{
		{"endpoint", &h.Endpoint, defaultEndpoint},
		{"realm", &h.Realm, defaultRealm},
	} {
		if *option.value == "" {
			*option.value = option.initial
		}
	}
	if err := checkWhenUnavailable(h.WhenUnavailable); err != nil {
		return err
	}
	if err := checkEndpoint(h.Endpoint); err != nil {
		return err
	}
	return checkRealm(h.Realm)
}

// checkEndpoint refuses what nobody means as a path that a request's is to be
// equal to: revocations would pass to the API behind.
func checkEndpoint(path string) error {
	if path != endpointOff && (!strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#%*{}")) {
		return fmt.Errorf("endpoint: %q is neither a plain path, such as %s, nor off", path, defaultEndpoint)
	}
	return nil
}

func checkRealm(realm string) error {
	if strings.ContainsFunc(realm, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("realm: %q has characters that no header field may have", realm)
	}
	return nil
}

// ServeHTTP answers a revocation request, or lets pass what may pass.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.endpoint != nil && r.URL.Path == h.Endpoint {
		h.revoke(w, r)
		return nil
	}
	began := metrics.checks.began()
	decision := h.decide(w, r)
	passes := decision.Reason == gate.Passed && (decision.Tokens > 0 || !h.RequireToken)
	metrics.checks.count(&decision, passes, began)
	if passes {
		if len(decision.Counted) > 0 {
			note(r.Context(), finding{reason: decision.Reason.String(), counted: decision.Counted})
		}
		return next.ServeHTTP(w, r)
	}
	return h.refuse(w, r, decision)
}

// decide says what becomes of a request.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request) gate.Decision {
	app, list, err := h.checking(r.Context())
	switch {
	case err != nil && h.allows():
		return h.gate.Look(w, r)
	case err != nil:
		return gate.Decision{Reason: gate.Unavailable, Scheme: "Bearer", Tokens: 1, Err: err}
	}
	decision := h.check(app, list, w, r)
	if errors.Is(decision.Err, revocation.ErrClosed) || decision.Err == errStale {
		// A reload came in between, or this configuration only starts.
		if active, list := running(); list != nil && active != app {
			decision = h.check(active, list, w, r)
		}
	}
	if decision.Err == errStale && h.allows() {
		decision.Reason, decision.Err = gate.Passed, nil
	}
	return decision
}

var errStale = errors.New("there was no word from the cluster for too long")

// check is that of the gate, with what an app knows. What passes by that while the
// cluster may know more is unavailable, and the error errStale.
func (h *Handler) check(app *App, list *revocation.Denylist, w http.ResponseWriter, r *http.Request) gate.Decision {
	// Asked first: a check can take as long as a body does to come in, and what was
	// looked up before there was word again was not known then. What is known since
	// the request began is never forgotten while it is checked.
	fresh := app.fresh()
	decision := h.gate.Check(list, w, r)
	if decision.Reason == gate.Passed && decision.Looked > 0 && !fresh {
		decision.Reason, decision.Err = gate.Unavailable, errStale
	}
	return decision
}

// allows says whether a request passes of whose tokens too little is known.
func (h *Handler) allows() bool {
	return cmp.Or(h.WhenUnavailable, h.app.WhenUnavailable) == allowStale
}

// checking returns the denylist for a check, and whose it is. While a new
// configuration starts, requests reach it and the one before it: until it can
// answer, and where it never will, it answers as that one does.
func (h *Handler) checking(ctx context.Context) (*App, *revocation.Denylist, error) {
	if h.app.shared.loaded.Load() == nil {
		if active, list := running(); list != nil {
			return active, list, nil
		}
	}
	list, err := h.app.denylist(ctx)
	return h.app, list, err
}

// revoking returns the denylist for a revocation: that of the configuration that
// runs. In one that only starts, or has been replaced, a revocation in a denylist
// of its own would be forgotten, and so is not promised.
func (h *Handler) revoking(ctx context.Context) (*revocation.Denylist, error) {
	_, active := running()
	if active != nil && active != h.app.shared.loaded.Load() {
		return nil, errReloading
	}
	return h.app.denylist(ctx)
}

var errReloading = errors.New("another configuration, with another denylist, is running")

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) {
	done := h.endpoint.Serve(h.revoking, w, r)
	metrics.revocations.answered(r, &done)
	switch {
	case done.Err != nil && done.Error == "":
		h.logger.Warn("a token was revoked, and nobody knows whose it is, or its session",
			zap.String("client", done.Client), zap.Int("status", done.Status), zap.Error(done.Err))
	case done.Err != nil:
		h.logger.Error("a revocation failed",
			zap.String("client", done.Client), zap.Int("status", done.Status), zap.Error(done.Err))
	case done.Error != "":
		h.logger.Debug("a revocation request was refused",
			zap.String("client", done.Client), zap.Int("status", done.Status), zap.String("error", done.Error))
	}
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
