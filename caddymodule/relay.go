package caddymodule

import (
	"encoding/json"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Relay sends revocation requests on to the authorization server, as they came.
// Only what it has accepted is revoked here.
type Relay struct {
	// The authorization server's revocation endpoint.
	URL string `json:"url,omitempty"`

	// How long to wait for its answer. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How to reach it, as for `reverse_proxy`: trusted certificates, a client
	// certificate, connections. Default: over HTTP or HTTPS, trusting what the
	// system trusts.
	TransportRaw json.RawMessage `json:"transport,omitempty" caddy:"namespace=http.reverse_proxy.transport inline_key=protocol"`
}

// RateLimit is how many revocations a client may make.
type RateLimit struct {
	// How many in an interval; all of them may come at once.
	Revocations int `json:"revocations,omitempty"`

	// The interval.
	Interval caddy.Duration `json:"interval,omitempty"`
}

// unmarshalRelay reads
//
//	relay <url> {
//		timeout <duration>
//		transport <name> { ... }
//	}
func (h *Handler) unmarshalRelay(d *caddyfile.Dispenser) error {
	address, err := checked(d, unlessPlaceholder(checkURL))
	if err != nil {
		return err
	}
	h.Relay = &Relay{URL: address}
	return options(d, h.Relay.unmarshalOption)
}

func (r *Relay) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "timeout":
		r.Timeout, err = positive(d)
	case "transport":
		return r.unmarshalTransport(d)
	default:
		return d.Errf("relay has no option %q", option)
	}
	return err
}

func (r *Relay) unmarshalTransport(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, "http.reverse_proxy.transport."+name)
	if err != nil {
		return err
	}
	transport, ok := module.(http.RoundTripper)
	if !ok {
		return d.Errf("transport %s is not one", name)
	}
	r.TransportRaw = caddyconfig.JSONModuleObject(transport, "protocol", name, nil)
	return nil
}

// unmarshalRateLimit reads
//
//	rate_limit <revocations> <interval>
func (h *Handler) unmarshalRateLimit(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("rate_limit takes a number and an interval, such as: rate_limit 100 1s")
	}
	n, err := atLeastOne(args[0])
	if err != nil {
		return d.WrapErr(err)
	}
	interval, err := caddy.ParseDuration(args[1])
	if err != nil || interval <= 0 {
		return d.Errf("rate_limit: %q is not an interval, such as 1s", args[1])
	}
	h.RateLimit = &RateLimit{Revocations: n, Interval: caddy.Duration(interval)}
	return nil
}
