package caddymodule

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
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
	return options(d, "client", a.unmarshalOption)
}

func (a *App) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "store":
		return a.unmarshalStore(d)
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
		return a.unmarshalClient(d)
	case "cluster", "max_staleness", "when_unavailable", "issuer", "introspection":
		return notSupported(d)
	default:
		return d.Errf("token_revocation has no option %q", option)
	}
	return err
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
	if err := options(d, "", client.unmarshalOption); err != nil {
		return err
	}
	if err := client.check(); err != nil {
		return d.WrapErr(fmt.Errorf("client %s: %w", id, err))
	}
	a.Clients = append(a.Clients, client)
	return nil
}

func (c *Client) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "auth":
		c.Auth, err = methods(d)
	case "secret":
		c.Secret, err = one(d)
	case "secret_hash":
		c.SecretHash, err = one(d)
	case "origin":
		if c.Origins = d.RemainingArgs(); len(c.Origins) == 0 {
			err = d.ArgErr()
		}
	case "jwks", "tls_subject_dn", "tls_san_dns", "tls_san_uri", "tls_san_ip", "tls_san_email":
		return notSupported(d)
	default:
		return d.Errf("client has no option %q", option)
	}
	return err
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

var _ caddyfile.Unmarshaler = (*App)(nil)
