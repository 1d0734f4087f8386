// Package body reads the bodies of requests that have to be read whole: up to a
// size, and for a time.
package body

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// Timeout bounds how long a body may take to arrive.
const Timeout = 30 * time.Second

var (
	// ErrTooLarge says that a body is larger than allowed.
	ErrTooLarge = errors.New("the body is too large")
	// ErrSlow says that a body did not arrive within Timeout.
	ErrSlow = errors.New("the body did not arrive in time")
	// ErrUnreadable says that the connection or its framing broke.
	ErrUnreadable = errors.New("the body could not be read")
)

// Read returns the body of a request of at most limit bytes.
func Read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, ErrTooLarge
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(Timeout)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	var tooLarge *http.MaxBytesError // by whoever limited the body before
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrSlow
	case errors.As(err, &tooLarge), err == nil && int64(len(b)) > limit:
		return nil, ErrTooLarge
	case err != nil:
		return nil, ErrUnreadable
	}
	return b, nil
}
