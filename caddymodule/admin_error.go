package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

var (
	errStarting  = errors.New("the first configuration is still being started")
	errNoApp     = errors.New("the running configuration has no token_revocation")
	errAway      = errors.New("the cluster was not reached, or not in time: what was to be refused is refused on this node, and will be sent again; nothing else is done")
	errMediaType = errors.New("the Content-Type must be application/json, and without a Content-Encoding")
)

// adminStatuses are the answers to what can be wrong with a request. Everything
// else is wrong here, and may not be at the next try.
var adminStatuses = []struct {
	err    error
	status int
}{
	{errNoApp, http.StatusNotFound},
	{operator.ErrInvalid, http.StatusBadRequest},
	{revocation.ErrInvalid, http.StatusBadRequest},
	{revocation.ErrNotFound, http.StatusNotFound},
	{operator.ErrAmbiguous, http.StatusConflict},
	{operator.ErrRefuses, http.StatusConflict},
	{errMediaType, http.StatusUnsupportedMediaType},
	{errLinesType, http.StatusUnsupportedMediaType},
	{body.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{body.ErrSlow, http.StatusRequestTimeout},
	{body.ErrUnreadable, http.StatusBadRequest},
}

func adminStatus(err error) int {
	for _, known := range adminStatuses {
		if errors.Is(err, known.err) {
			return known.status
		}
	}
	return http.StatusServiceUnavailable
}

// adminError is the answer to a request that failed, in Caddy's own form.
func adminError(w http.ResponseWriter, err error) error {
	if status := adminStatus(err); status != http.StatusServiceUnavailable {
		return caddy.APIError{HTTPStatus: status, Err: err}
	}
	w.Header().Set("Retry-After", retryAfter)
	switch {
	case errors.Is(err, revocation.ErrAway):
		err = errAway
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("the store did not answer in time: what was asked for may be done all the same")
	case errors.Is(err, revocation.ErrClosed):
		err = errReloading
	}
	return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
}

// allow refuses a request by another method.
func allow(w http.ResponseWriter, r *http.Request, method string) error {
	allowed := method
	if method == http.MethodGet {
		allowed = "GET, HEAD"
	}
	if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
		return nil
	}
	w.Header().Set("Allow", allowed)
	return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Message: "use " + method}
}
