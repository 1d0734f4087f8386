package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/gate"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective(appName, parseDirective)
	// Before whatever else decides by credentials, and long before the proxy.
	httpcaddyfile.RegisterDirectiveOrder(appName, httpcaddyfile.Before, "basic_auth")
}

func parseDirective(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	return h, nil
}

// UnmarshalCaddyfile sets the handler up from the directive:
//
//	token_revocation [<matcher>] {
//		endpoint <path>|off
//		profile rfc7009|session|json|fapi
//		revoke token|session
//		relay <url> { ... }
//		rate_limit <revocations> <interval>
//		token header <name> [<scheme>...]
//		token query <parameter>
//		token cookie <name>
//		token form <field> [<max size>]
//		require_token
//		when_unavailable deny
//		realm <text>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the directive
	return options(d, h.unmarshalOption, "token")
}

func (h *Handler) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "endpoint":
		h.Endpoint, err = checked(d, checkEndpoint)
	case "profile":
		h.Profile, err = choice(d, []string{"rfc7009", "session", "json", "fapi"})
	case "revoke":
		h.Revoke, err = choice(d, []string{"token", "session"})
	case "when_unavailable":
		h.WhenUnavailable, err = choice(d, []string{"deny"}, "allow")
	case "token":
		return h.unmarshalToken(d)
	case "require_token":
		if h.RequireToken = true; d.NextArg() {
			return d.Errf("unexpected %q after require_token", d.Val())
		}
	case "realm":
		h.Realm, err = checked(d, checkRealm)
	case "relay":
		return h.unmarshalRelay(d)
	case "rate_limit":
		return h.unmarshalRateLimit(d)
	default:
		return d.Errf("token_revocation has no option %q", option)
	}
	return err
}

func (h *Handler) unmarshalToken(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 || args[1] == "" {
		return d.Err("token takes a place and a name, such as: token cookie session")
	}
	place := TokenPlace{In: args[0], Name: args[1]}
	rest := args[2:]
	switch place.In {
	case "header":
		place.Schemes, rest = rest, nil
	case "form":
		if len(rest) > 0 {
			var err error
			if place.MaxSize, err = parseSize(d, "token form "+place.Name, rest[0]); err != nil {
				return err
			}
			rest = rest[1:]
		}
	case "query", "cookie":
	default:
		return d.Errf("a token cannot stand in %q: use header, query, cookie or form", place.In)
	}
	if len(rest) > 0 {
		return d.Errf("unexpected %q after token %s %s", rest[0], place.In, place.Name)
	}
	if _, err := gate.New([]gate.Place{place.place()}, nil); err != nil {
		return d.WrapErr(err)
	}
	h.Tokens = append(h.Tokens, place)
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
