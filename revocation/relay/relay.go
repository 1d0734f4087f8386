// Package relay passes revocation requests on to the authorization server, which
// decides about them, and brings its answers back.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	// DefaultTimeout is how long the server may take to answer.
	DefaultTimeout = 5 * time.Second
	// DefaultMaxConcurrent is how many requests the server may have at once.
	// Each holds at most a body and an answer of 64 KiB.
	DefaultMaxConcurrent = 128
	// MaxAnswer is how large the body of an answer may be, in bytes.
	MaxAnswer = 64 << 10
)

var (
	// ErrSilent says that the server did not answer in time. It may have done
	// what it was asked.
	ErrSilent = errors.New("the authorization server does not answer")
	// ErrNonsense says that what came back is no answer to a revocation request:
	// a status 5xx or a redirect, something that is not HTTP, too large or cut
	// off, or no connection at all. The server may have done what it was asked.
	ErrNonsense = errors.New("the authorization server gives no answer that means something")
	// ErrBusy says that as many requests wait for the server as may. It has not
	// got this one.
	ErrBusy = errors.New("too many requests wait for the authorization server")
)

// Config is how a server is reached.
type Config struct {
	// URL is the server's revocation endpoint: http or https, with no user and
	// no fragment in it.
	URL string
	// Timeout bounds everything from the connection to the answer's last byte;
	// 0 is DefaultTimeout.
	Timeout time.Duration
	// Transport sends the requests. It should neither compress, which adds a
	// header field, nor take longer than Timeout to give up a connection. If it
	// is nil, the relay has its own, which trusts what the system trusts.
	Transport http.RoundTripper
	// MaxConcurrent is how many requests may wait for the server at once; 0 is
	// DefaultMaxConcurrent.
	MaxConcurrent int
}

// Relay passes requests on to one server. It is safe for concurrent use.
type Relay struct {
	url       *url.URL
	timeout   time.Duration
	transport http.RoundTripper
	own       *http.Transport // transport, or nil if that is another's
	inFlight  chan struct{}   // one for each request that waits
}

// New makes a relay. It does not ask whether the server is there.
func New(c Config) (*Relay, error) {
	target, err := parseURL(c.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("url: %w", err)
	case c.Timeout < 0:
		return nil, fmt.Errorf("a timeout of %s is negative", c.Timeout)
	case c.MaxConcurrent < 0:
		return nil, fmt.Errorf("%d requests at once are not possible", c.MaxConcurrent)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = DefaultMaxConcurrent
	}
	s := &Relay{
		url: target, timeout: c.Timeout, transport: c.Transport,
		inFlight: make(chan struct{}, c.MaxConcurrent),
	}
	if c.Transport == nil {
		s.own = newTransport(c.Timeout, c.MaxConcurrent)
		s.transport = s.own
	}
	return s, nil
}

// parseURL does not repeat the URL in an error: it may hold a password.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("it cannot be read")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("it must begin with https:// or http:// and a host")
	case u.User != nil:
		return nil, errors.New("it must not name a user: the client's own credentials are passed on")
	case u.Fragment != "":
		return nil, errors.New("it must not have a fragment")
	}
	return u, nil
}

// Answer is what the server says.
type Answer struct {
	Status int // 2xx, or 4xx without 407
	Header http.Header
	Body   []byte
}

// Done says whether the server has revoked the token.
func (a *Answer) Done() bool { return a.Status < 300 }

// Send passes a request on with the body that was read from it, and returns the
// server's answer. The client's address is that from which the client is known
// to ask. The error is ErrSilent, ErrNonsense, ErrBusy, or that of ctx if it was
// canceled. It holds nothing that the client or the server sent.
func (s *Relay) Send(ctx context.Context, r *http.Request, client netip.Addr, body []byte) (Answer, error) {
	select {
	case s.inFlight <- struct{}{}:
		defer func() { <-s.inFlight }()
	default:
		return Answer{}, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	response, err := s.transport.RoundTrip(s.request(ctx, r, client, body))
	if err != nil {
		return Answer{}, failure(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if !isAnswer(response.StatusCode) {
		return Answer{}, fmt.Errorf("%w: status %d", ErrNonsense, response.StatusCode)
	}
	// One byte more, to know that there is more; and then the connection is of
	// no further use, since nobody reads the rest.
	content, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, failure(ctx, err)
	case len(content) > MaxAnswer:
		return Answer{}, fmt.Errorf("%w: it has more than %d bytes", ErrNonsense, MaxAnswer)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: content}, nil
}

// Close closes the connections of the relay's own transport that wait for a
// request. Later requests open others.
func (s *Relay) Close() {
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
}

// isAnswer says whether a status can be that of an authorization server that has
// judged the request. A redirect is none: credentials go to no other place. 407
// is that of a proxy in between.
func isAnswer(status int) bool {
	return status >= 200 && status < 300 ||
		status >= 400 && status < 500 && status != http.StatusProxyAuthRequired
}
