package tests

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// upstream is the API behind Caddy. It counts what reaches it.
type upstream struct {
	address string
	reached atomic.Int64
	// last is the request that came last, with its body.
	mu   sync.Mutex
	last *http.Request
	body []byte
	// handle answers if it is not nil; set it before the first request.
	handle http.Handler
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{address: listener.Addr().String()}
	server := &http.Server{Handler: u, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.reached.Add(1)
	if u.handle != nil {
		u.handle.ServeHTTP(w, r)
		return
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	confidential.sees(r)
	confidential.body(r.Header.Get("Content-Type"), body.Bytes())
	u.mu.Lock()
	u.last, u.body = r, body.Bytes()
	u.mu.Unlock()
	_, _ = fmt.Fprintln(w, "reached the API")
}
