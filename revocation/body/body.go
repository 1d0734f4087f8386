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

// Read returns the body of a request of at most limit bytes. After an error the
// connection serves no further request: what is left of the body is in its way.
func Read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(Timeout))
	b, err := read(r, limit)
	if err != nil {
		// Without this the server would wait for the rest before it answers. The
		// deadline stays, as it reads on for a moment after that.
		if r.ProtoMajor < 2 {
			w.Header().Set("Connection", "close")
		}
		return nil, err
	}
	_ = control.SetReadDeadline(time.Time{})
	return b, nil
}

func read(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, ErrTooLarge
	}
	if r.Body == nil { // of a request that a handler made up
		return nil, nil
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
