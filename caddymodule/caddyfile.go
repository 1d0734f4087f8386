package caddymodule

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterGlobalOption(appName, parseGlobalOption)
}

func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // so that the error can say where
		return nil, d.Err("the global option token_revocation is there twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets the app up from the global option:
//
//	token_revocation {
//		store bolt [<path>]
//		cache <size>
//		retain <duration>
//		leeway <duration>
//		client <id> {
//			auth <method>...
//			secret <secret>
//			secret_hash <hash>
//			origin <origin>...
//		}
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the option
	if d.NextArg() {
		return d.Errf("unexpected %q after token_revocation", d.Val())
	}
	seen := once{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if option != "client" {
			if err := seen.check(d); err != nil {
				return err
			}
		}
		var err error
		switch option {
		case "store":
			err = a.unmarshalStore(d)
		case "cache":
			a.CacheSize, err = size(d)
		case "retain":
			if a.Retain, err = duration(d); err == nil && a.Retain <= 0 {
				err = d.Errf("retain must be more than 0, not %s", d.Val())
			}
		case "leeway":
			var leeway caddy.Duration
			if leeway, err = duration(d); err == nil && leeway < 0 {
				err = d.Errf("leeway must not be negative, as %s is", d.Val())
			}
			a.Leeway = &leeway
		case "client":
			err = a.unmarshalClient(d)
		case "cluster", "max_staleness", "when_unavailable", "issuer", "introspection":
			err = notSupported(d)
		default:
			err = d.Errf("token_revocation has no option %q", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *App) unmarshalStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if name == "memory" {
		return d.Err("store memory is not supported without a cluster, as it would forget on a restart")
	}
	module, err := caddyfile.UnmarshalModule(d, "token_revocation.stores."+name)
	if err != nil {
		return err
	}
	store, ok := module.(StoreModule)
	if !ok {
		return d.Errf("store %s is not a store of token_revocation", name)
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(store, "backend", name, nil)
	return nil
}

func (a *App) unmarshalClient(d *caddyfile.Dispenser) error {
	id, err := one(d)
	if err != nil {
		return err
	}
	client := Client{ID: id}
	if slices.ContainsFunc(a.Clients, func(c Client) bool { return c.ID == id }) {
		return d.Errf("client %s is there twice", id)
	}
	seen := once{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := seen.check(d); err != nil {
			return err
		}
		var err error
		switch d.Val() {
		case "auth":
			client.Auth, err = methods(d)
		case "secret":
			client.Secret, err = one(d)
		case "secret_hash":
			client.SecretHash, err = one(d)
		case "origin":
			if client.Origins = d.RemainingArgs(); len(client.Origins) == 0 {
				err = d.ArgErr()
			}
		case "jwks", "tls_subject_dn", "tls_san_dns", "tls_san_uri", "tls_san_ip", "tls_san_email":
			err = notSupported(d)
		default:
			err = d.Errf("client has no option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	if err := client.check(); err != nil {
		return d.WrapErr(fmt.Errorf("client %s: %w", id, err))
	}
	a.Clients = append(a.Clients, client)
	return nil
}

func methods(d *caddyfile.Dispenser) (list []string, err error) {
	for d.NextArg() {
		switch d.Val() {
		case "client_secret_basic", "client_secret_post", "none":
			list = append(list, d.Val())
		case "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth":
			return nil, notSupported(d)
		default:
			return nil, d.Errf("auth has no method %q", d.Val())
		}
	}
	if len(list) == 0 {
		return nil, d.ArgErr()
	}
	return list, nil
}

// once refuses an option that is there twice: one of them would be ignored.
type once map[string]bool

func (o once) check(d *caddyfile.Dispenser) error {
	if o[d.Val()] {
		return d.Errf("%s is there twice", d.Val())
	}
	o[d.Val()] = true
	return nil
}

func notSupported(d *caddyfile.Dispenser) error {
	return d.Errf("%s is not supported by this version", d.Val())
}

// one is the only argument of an option.
func one(d *caddyfile.Dispenser) (string, error) {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return "", d.Errf("%s takes one argument, not %d", option, len(args))
	}
	if args[0] == "" {
		return "", d.Errf("the argument of %s is empty", option)
	}
	return args[0], nil
}

func duration(d *caddyfile.Dispenser) (caddy.Duration, error) {
	option := d.Val()
	text, err := one(d)
	if err != nil {
		return 0, err
	}
	parsed, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, d.Errf("%s: %q is not a duration, such as 60s or 720h", option, text)
	}
	return caddy.Duration(parsed), nil
}

func size(d *caddyfile.Dispenser) (int64, error) {
	option := d.Val()
	text, err := one(d)
	if err != nil {
		return 0, err
	}
	return parseSize(d, option, text)
}

func parseSize(d *caddyfile.Dispenser, what, text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<62 {
		return 0, d.Errf("%s: %q is not a size, such as 64KiB or 32MiB", what, text)
	}
	return int64(n), nil
}

var _ caddyfile.Unmarshaler = (*App)(nil)
