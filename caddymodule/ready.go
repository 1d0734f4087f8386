package caddymodule

import (
	"encoding/json"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Ready{})
	httpcaddyfile.RegisterHandlerDirective(readyName, parseReady)
	// Before whatever sends a load balancer elsewhere, or asks it for a token.
	httpcaddyfile.RegisterDirectiveOrder(readyName, httpcaddyfile.Before, "redir")
}

const (
	readyName = "token_revocation_ready"
	// readyRetryAfter is when to ask a node again that is not ready, in seconds.
	readyRetryAfter = "1"
)

// Ready answers load balancers: with status 200 if requests can be checked on
// this node, or else 503. It says which in JSON:
//
//	{"ready":true,"reasons":[],"degraded":[]}
//
// Reasons, with status 503: `loading`, the denylist is not loaded yet;
// `store_not_opened`, it cannot be; `store_unreachable`, the store cannot be read,
// or not within a second; `closed`, another configuration runs; `shutting_down`,
// Caddy ends after its `shutdown_delay`; `stale`, there was no word from the cluster
// yet, or none for longer than `max_staleness`.
//
// Degraded, with status 200, since what is revoked is refused all the same:
// `writes_failing`, the last write to the store failed, and revocations may be
// answered 503; `cluster_away`, so they are since the cluster is not heard; `stale`,
// as above, where the app's `when_unavailable` is `allow`; `cluster_settings`, the
// cluster cannot keep its promises as it is set; `reloading`, another configuration
// takes over.
//
// In a Caddyfile it comes before `redir`, `rewrite` and `token_revocation`, and so
// needs no token.
type Ready struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (Ready) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers." + readyName,
		New: func() caddy.Module { return new(Ready) },
	}
}

// Provision finds the app.
func (h *Ready) Provision(ctx caddy.Context) error {
	app, err := ctx.App(appName)
	if err != nil {
		return err
	}
	h.app = app.(*App)
	return nil
}

// ServeHTTP answers, whatever the path is.
func (h *Ready) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	is := h.app.readiness(r.Context())
	if shuttingDown(r) {
		is.Ready, is.Reasons = false, append(is.Reasons, reasonShuttingDown)
	}
	status := http.StatusOK
	if !is.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", readyRetryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	return json.NewEncoder(w).Encode(is)
}

// shuttingDown says whether Caddy is about to end, and serves only until its
// `shutdown_delay` is over.
func shuttingDown(r *http.Request) bool {
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	value, _ := replacer.Get("http.shutting_down")
	is, _ := value.(bool)
	return is
}

func parseReady(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Ready)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile sets the handler up from the directive:
//
//	token_revocation_ready [<matcher>]
func (*Ready) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the directive
	return options(d, func(d *caddyfile.Dispenser) error {
		return d.Errf("%s has no option %q", readyName, d.Val())
	})
}

var (
	_ caddy.Provisioner           = (*Ready)(nil)
	_ caddyhttp.MiddlewareHandler = (*Ready)(nil)
	_ caddyfile.Unmarshaler       = (*Ready)(nil)
)
