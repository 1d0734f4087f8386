package gate

import (
	"io"
	"net/http"
	"strings"
)

// nothingLater sees to it that no token can follow a request that has passed.
func (g *Gate) nothingLater(r *http.Request) {
	if len(r.Header["Upgrade"]) > 0 {
		dropUpgrade(r.Header)
	}
	if r.Body != nil && r.Body != http.NoBody && (r.ContentLength < 0 || len(r.Trailer) > 0) {
		g.dropTrailers(r.Trailer)
		r.Body = &trailed{ReadCloser: r.Body, gate: g, request: r}
	}
}

// dropUpgrade declines, as any server may (RFC 9110 §7.8), to go on with another
// version of HTTP: behind "Upgrade: h2c" requests would follow to which the
// proxy is but a tunnel.
func dropUpgrade(h http.Header) {
	for protocol := range strings.SplitSeq(strings.Join(h["Upgrade"], ","), ",") {
		name, _, _ := strings.Cut(trim(protocol), "/")
		switch strings.ToLower(name) {
		case "h2c", "h2", "http", "tls":
			delete(h, "Upgrade")
			return
		}
	}
}

// trailed is a body that trailer fields may follow. They come when the request
// has passed, and some servers merge them into the header. Nobody may send
// credentials there (RFC 9110 §6.5.1).
type trailed struct {
	io.ReadCloser
	gate    *Gate
	request *http.Request
}

func (t *trailed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF {
		t.gate.dropTrailers(t.request.Trailer)
	}
	return n, err
}

func (g *Gate) dropTrailers(trailer http.Header) {
	for name := range trailer {
		if g.carriesTokens(name) {
			delete(trailer, name)
		}
	}
}

func (g *Gate) carriesTokens(field string) bool {
	switch http.CanonicalHeaderKey(field) {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	for i := range g.headers {
		if isField(field, g.headers[i].name) {
			return true
		}
	}
	return false
}
