package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// TEMPORARY until the admin API of others is merged.

func wantMethod(w http.ResponseWriter, r *http.Request, method string) error {
	if r.Method == method {
		return nil
	}
	w.Header().Set("Allow", method)
	return apiError(http.StatusMethodNotAllowed, errors.New("use "+method))
}

func apiError(status int, err error) error { return caddy.APIError{HTTPStatus: status, Err: err} }

func badRequest(err error) error { return apiError(http.StatusBadRequest, err) }

func unavailable(w http.ResponseWriter, err error) error {
	w.Header().Set("Retry-After", "1")
	return apiError(http.StatusServiceUnavailable, err)
}

func runningDenylist(w http.ResponseWriter) (*App, *revocation.Denylist, error) {
	app, err := caddy.ActiveContext().AppIfConfigured(appName)
	if err != nil {
		return nil, nil, apiError(http.StatusNotFound, errors.New("no token_revocation runs"))
	}
	list := app.(*App).shared.loaded.Load()
	if list == nil {
		return nil, nil, unavailable(w, errLoading)
	}
	return app.(*App), list, nil
}
