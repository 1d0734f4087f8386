package caddymodule

import (
	"context"
	"encoding/json"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin answers under `/token_revocation/` on Caddy's admin endpoint:
// operators revoke, by token or by rule, take that back, list what is there,
// and are told why a token is refused. docs/admin-api.md has every request and
// its answer.
//
// `GET /token_revocation/metadata` lists, for each endpoint of the running
// configuration, what the authorization server's metadata should say about it
// (RFC 8414 §2).
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.token_revocation",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Provision has the metrics in the registry of every configuration from which the
// admin endpoint answers: also of one that fails before its app is provisioned,
// as that endpoint stays.
func (Admin) Provision(ctx caddy.Context) error { return metrics.register(ctx.GetMetricsRegistry()) }

// adminPath is where all of the admin API is.
const adminPath = "/token_revocation/"

// Routes are the paths that are answered.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: adminPath + "metadata", Handler: caddy.AdminHandlerFunc(serveMetadata)},
		route("revoke", http.MethodPost, (*call).revoke),
		route("restore", http.MethodPost, (*call).restore),
		route("records", http.MethodGet, (*call).records),
		route("records/{id}", http.MethodGet, (*call).record),
		route("export", http.MethodGet, (*call).export),
		route("import", http.MethodPost, (*call).importLines),
		route("explain", http.MethodPost, (*call).explain),
		route("stats", http.MethodGet, (*call).stats),
		route("sync", http.MethodGet, (*call).sync),
		{Pattern: adminPath, Handler: caddy.AdminHandlerFunc(serveNothing)},
	}
}

// route answers one method at a path, with what serve returns as JSON; nil if it
// has written the answer itself.
func route(path, method string, serve func(*call) (any, error)) caddy.AdminRoute {
	return caddy.AdminRoute{
		Pattern: adminPath + path,
		Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Cache-Control", "no-store")
			if err := allow(w, r, method); err != nil {
				return err
			}
			c, err := newCall(w, r)
			if err != nil {
				return adminError(w, err)
			}
			answer, err := serve(c)
			if err != nil {
				return adminError(w, err)
			}
			if answer == nil {
				return nil
			}
			return writeJSON(w, answer)
		}),
	}
}

// call is one request to the admin API, and what it is about.
type call struct {
	app  *App // of the configuration that runs
	list *revocation.Denylist
	w    http.ResponseWriter
	r    *http.Request
}

// newCall finds what runs at this moment, which a reload may have changed since
// the admin endpoint was started.
func newCall(w http.ResponseWriter, r *http.Request) (*call, error) {
	active := caddy.ActiveContext()
	if active.Context == nil {
		return nil, errStarting
	}
	app, err := active.AppIfConfigured(appName)
	if err != nil {
		return nil, errNoApp
	}
	c := &call{app: app.(*App), w: w, r: r.WithContext(withAddress(r))}
	c.list, err = c.app.denylist(r.Context())
	return c, err
}

// withAddress lets the audit log say from where a request came.
func withAddress(r *http.Request) context.Context {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr // of a Unix socket
	}
	return context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: host})
}

func writeJSON(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

func serveNothing(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	return caddy.APIError{HTTPStatus: http.StatusNotFound, Message: "the admin API of token_revocation has nothing at this path"}
}

// metadata is that of one endpoint, of which only the path is known here.
type metadata struct {
	Path string `json:"revocation_endpoint"`
	endpoint.Metadata
}

func serveMetadata(w http.ResponseWriter, r *http.Request) error {
	if err := allow(w, r, http.MethodGet); err != nil {
		return err
	}
	list := []metadata{}
	if app, err := caddy.ActiveContext().AppIfConfigured(appName); err == nil {
		for _, h := range app.(*App).endpoints {
			list = append(list, metadata{h.Endpoint, h.endpoint.Metadata()})
		}
	}
	return writeJSON(w, list)
}

var _ caddy.AdminRouter = Admin{}
