package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin answers under `/token_revocation/` on Caddy's admin endpoint.
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

// Routes are the paths that are answered.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/token_revocation/metadata", Handler: caddy.AdminHandlerFunc(serveMetadata)},
		{Pattern: "/token_revocation/export", Handler: caddy.AdminHandlerFunc(serveExport)},
		{Pattern: "/token_revocation/import", Handler: caddy.AdminHandlerFunc(serveImport)},
	}
}

// metadata is that of one endpoint, of which only the path is known here.
type metadata struct {
	Path string `json:"revocation_endpoint"`
	endpoint.Metadata
}

func serveMetadata(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("use GET")}
	}
	list := []metadata{}
	if app, err := caddy.ActiveContext().AppIfConfigured(appName); err == nil {
		for _, h := range app.(*App).endpoints {
			list = append(list, metadata{h.Endpoint, h.endpoint.Metadata()})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(list)
}

var _ caddy.AdminRouter = Admin{}
