package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/relay"
)

// limits remembers who has asked how often. It outlives configurations, since a
// reload forgives nobody.
var limits = endpoint.NewLimits()

// newEndpoint makes the endpoint of a handler as it is configured.
func (h *Handler) newEndpoint(ctx caddy.Context) (*endpoint.Endpoint, error) {
	if h.app.clients.Len() == 0 && h.Relay == nil {
		h.logger.Warn("no clients are configured, so that nobody can revoke a token",
			zap.String("endpoint", h.Endpoint))
	}
	if h.app.judge == nil && (h.Revoke == "session" || h.Revoke == "" && h.Profile == "session") {
		h.logger.Warn("sessions are to be revoked, but without an issuer or introspection none is known: only tokens will be",
			zap.String("endpoint", h.Endpoint))
	}
	config := endpoint.Config{
		Clients:    h.app.clients,
		Retain:     time.Duration(h.app.Retain),
		Realm:      h.Realm,
		Profile:    endpoint.Profile(h.Profile),
		Revoke:     endpoint.Scope(h.Revoke),
		Audiences:  h.audiences,
		RemoteAddr: remoteAddr,
		Limits:     limits,
		Judge:      h.app.judge,
		Revoked: func(ctx context.Context, how endpoint.Attempt, records []revocation.Record) {
			h.app.tell(ctx, wayEndpoint, records, zap.String("auth", string(how)))
		},
	}
	if h.RateLimit != nil {
		config.RateLimit = endpoint.RateLimit{
			Revocations: h.RateLimit.Revocations,
			Interval:    time.Duration(h.RateLimit.Interval),
		}
		if config.RateLimit.Revocations <= 0 || config.RateLimit.Interval <= 0 {
			return nil, errors.New("rate_limit: revocations and interval must be more than 0")
		}
	}
	if h.Relay != nil {
		var err error
		if config.Relay, err = h.Relay.provision(ctx); err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
	}
	return endpoint.New(config)
}

func (r *Relay) provision(ctx caddy.Context) (*relay.Relay, error) {
	address, err := resolve("url", r.URL)
	if err != nil {
		return nil, err
	}
	if err := checkURL(address); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if r.Timeout < 0 {
		return nil, fmt.Errorf("timeout: %s is not possible", time.Duration(r.Timeout))
	}
	config := relay.Config{URL: address, Timeout: time.Duration(r.Timeout)}
	if len(r.TransportRaw) > 0 {
		module, err := ctx.LoadModule(r, "TransportRaw")
		if err != nil {
			return nil, fmt.Errorf("transport: %w", err)
		}
		transport, ok := module.(http.RoundTripper)
		if !ok {
			return nil, fmt.Errorf("transport: %T is not one", module)
		}
		if own, ok := module.(*reverseproxy.HTTPTransport); ok {
			own.Transport.DisableCompression = true // it would add Accept-Encoding
		}
		config.Transport = transport
	}
	server, err := relay.New(config)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, server.Close) // when this configuration is no longer used
	return server, nil
}

// audiences are what a client assertion may be meant for (RFC 7523 §3): one of
// the issuers, or this endpoint as it was asked for.
func (h *Handler) audiences(r *http.Request) []string {
	list := slices.Clone(h.app.issuerURLs)
	if origin := origin(r); origin != "" {
		list = append(list, origin+originalPath(r))
	}
	return list
}

// originalPath is that of a request as its client has sent it, which may have been
// rewritten since.
func originalPath(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL.Path
	}
	return r.URL.Path
}

// origin is that of a request's URL as its client has it, or empty if it only
// says so. An assertion for another server must not count here, whatever the
// request has in its field Host: over TLS that has to be the name for which this
// server has shown a certificate.
func origin(r *http.Request) string {
	switch {
	case r.TLS != nil:
		name := r.Host
		if host, _, err := net.SplitHostPort(name); err == nil {
			name = host
		}
		if r.TLS.ServerName == "" || !strings.EqualFold(name, r.TLS.ServerName) {
			return ""
		}
		return "https://" + r.Host
	case trustsProxy(r) && r.Header.Get("X-Forwarded-Proto") == "https":
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// trustsProxy says whether a proxy in front of Caddy that is configured to be
// trusted has sent the request.
func trustsProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// remoteAddr is the address of the client, which behind trusted proxies is not
// that of the connection.
func remoteAddr(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return address
}
