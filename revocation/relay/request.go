package relay

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"
)

// hopByHop are the header fields that are about one connection (RFC 9110 §7.6.1)
// or about a body that has been read since.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Expect", "Content-Length",
}

// request is what the server gets: all that the client sent, and what proxies add.
func (s *Relay) request(ctx context.Context, r *http.Request, client netip.Addr, body []byte) *http.Request {
	target := *s.url
	target.RawQuery = strings.Trim(s.url.RawQuery+"&"+r.URL.RawQuery, "&")
	out := (&http.Request{
		Method: r.Method, URL: &target, Host: target.Host, Header: r.Header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(body)), Body: http.NoBody,
		// With it a transport can begin again on another connection where the
		// server has closed the first one before it read anything.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(ctx)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	if len(body) > 0 {
		out.Body, _ = out.GetBody()
	}
	for _, field := range r.Header["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			out.Header.Del(textproto.TrimString(name))
		}
	}
	for _, name := range hopByHop {
		out.Header.Del(name)
	}
	if _, given := out.Header["User-Agent"]; !given {
		out.Header["User-Agent"] = nil // or the transport would send its own
	}
	forward(out.Header, r, client)
	return out
}

// forward says where the request came from, as a proxy does that trusts none but
// those that the operator told it to.
func forward(h http.Header, r *http.Request, client netip.Addr) {
	const by, proto, host = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	// Where the client is known to be another than who holds the connection, that
	// is a proxy that the operator trusts, and so is its word.
	trusted := client.IsValid() && (err != nil || plain(peer.Addr()) != plain(client))
	if !trusted {
		h.Del(by)
		h.Del(proto)
		h.Del(host)
	}
	if chain := h.Values(by); err == nil { // a Unix socket has no address
		h.Set(by, strings.Join(append(chain, peer.Addr().String()), ", "))
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if h.Get(proto) == "" {
		h.Set(proto, scheme)
	}
	if h.Get(host) == "" {
		h.Set(host, r.Host)
	}
}

// plain is an address in the one form of several.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
