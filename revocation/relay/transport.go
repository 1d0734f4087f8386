package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// maxHeader is how large the header of an answer may be, in bytes.
const maxHeader = 64 << 10

// idleTimeout is how long a connection waits for the next request. Few servers
// close theirs sooner, and one that does is noticed.
const idleTimeout = 30 * time.Second

// newTransport makes a transport that keeps connections for the next request,
// and none for longer than it takes to give up.
func newTransport(timeout time.Duration, maxConcurrent int) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout:    timeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // it would add Accept-Encoding
		MaxConnsPerHost:        maxConcurrent,
		MaxIdleConns:           maxConcurrent,
		MaxIdleConnsPerHost:    maxConcurrent,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		ForceAttemptHTTP2:      true,
		// Without pings all requests would wait in vain on a connection of which
		// the other end is gone without a word.
		HTTP2: &http.HTTP2Config{SendPingTimeout: timeout, PingTimeout: timeout},
	}
}

// failure says what it means that there is no answer. Of err it says only what
// is known to hold nothing that was sent: some errors quote the answer.
func failure(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("relaying: %w", context.Canceled)
	}
	if ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		return ErrSilent
	}
	var (
		network     *net.OpError
		certificate *tls.CertificateVerificationError
		noHost      x509.HostnameError
		noTLS       tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &certificate):
		return fmt.Errorf("%w: its certificate is not trusted: %w", ErrNonsense, certificate.Err)
	case errors.As(err, &noHost):
		return fmt.Errorf("%w: its certificate is not trusted: %w", ErrNonsense, noHost)
	case errors.As(err, &noTLS):
		return fmt.Errorf("%w: it does not speak TLS", ErrNonsense)
	case errors.As(err, &network):
		return fmt.Errorf("%w: %w", ErrNonsense, network)
	}
	return fmt.Errorf("%w: the answer is broken", ErrNonsense)
}
