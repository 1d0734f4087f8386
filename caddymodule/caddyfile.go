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
//		store bolt [<path>]|memory
//		cluster nats <url>... { ... }
//		max_staleness <duration>
//		when_unavailable deny|allow
//		cache <size>
//		retain <duration>
//		leeway <duration>
//		issuer <url> { ... }
//		introspection <url> { ... }
//		client <id> {
//			auth <method>...
//			secret <secret>
//			secret_hash <hash>
//			jwks <url or file>
//			tls_subject_dn <dn>
//			tls_san_dns|tls_san_uri|tls_san_ip|tls_san_email <name>
//			origin <origin>...
//		}
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()        // the name of the option
	var alone error // of the first option that needs a cluster, if there is none
	err := options(d, func(d *caddyfile.Dispenser) error { return a.unmarshalOption(d, &alone) }, "client", "issuer")
	if err == nil && len(a.ClusterRaw) == 0 {
		err = alone
	}
	return err
}

func first(of *error, err error) {
	if *of == nil {
		*of = err
	}
}

func (a *App) unmarshalOption(d *caddyfile.Dispenser, alone *error) (err error) {
	switch option := d.Val(); option {
	case "store":
		return a.unmarshalStore(d, alone)
	case "cache":
		a.CacheSize, err = size(d)
	case "retain":
		a.Retain, err = positive(d)
	case "leeway":
		var leeway caddy.Duration
		if leeway, err = duration(d); err == nil && leeway < 0 {
			err = d.Errf("leeway must not be negative, as %s is", d.Val())
		}
		a.Leeway = &leeway
	case "client":
		return a.unmarshalClient(d)
	case "issuer":
		return a.unmarshalIssuer(d)
	case "introspection":
		return a.unmarshalIntrospection(d)
	case "cluster":
		return a.unmarshalCluster(d)
	case "max_staleness":
		first(alone, d.Err("max_staleness is not possible without a cluster, from which word could come"))
		if a.MaxStaleness, err = positive(d); err == nil && a.MaxStaleness < caddy.Duration(minMaxStaleness) {
			err = d.Errf("max_staleness must be at least %s, not %s", minMaxStaleness, d.Val())
		}
	case "when_unavailable":
		a.WhenUnavailable, err = choice(d, []string{deny, allowStale})
	default:
		return d.Errf("token_revocation has no option %q", option)
	}
	return err
}

func (a *App) unmarshalStore(d *caddyfile.Dispenser, alone *error) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	withoutCluster := d.Errf("store %s is not possible without a cluster, as it forgets everything on a restart", name)
	module, err := caddyfile.UnmarshalModule(d, "token_revocation.stores."+name)
	if err != nil {
		return err
	}
	store, ok := module.(StoreModule)
	if !ok {
		return d.Errf("store %s is not a store of token_revocation", name)
	}
	if _, forgets := module.(NeedsCluster); forgets {
		first(alone, withoutCluster)
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(store, "backend", name, nil)
	return nil
}

func (a *App) unmarshalCluster(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if err := builtIn(name); err != nil {
		return d.WrapErr(err)
	}
	module, err := caddyfile.UnmarshalModule(d, clusterNamespace+"."+name)
	if err != nil {
		return err
	}
	if _, ok := module.(ClusterModule); !ok {
		return d.Errf("cluster %s is not a cluster of token_revocation", name)
	}
	a.ClusterRaw = caddyconfig.JSONModuleObject(module, "engine", name, nil)
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
	if err := options(d, client.unmarshalOption); err != nil {
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
		c.Origins, err = some(d)
	case "jwks":
		c.JWKS, err = checked(d, unlessPlaceholder(checkJWKS))
	case "tls_subject_dn":
		c.TLSSubjectDN, err = one(d)
	case "tls_san_dns":
		c.TLSSANDNS, err = one(d)
	case "tls_san_uri":
		c.TLSSANURI, err = one(d)
	case "tls_san_ip":
		c.TLSSANIP, err = one(d)
	case "tls_san_email":
		c.TLSSANEmail, err = one(d)
	default:
		return d.Errf("client has no option %q", option)
	}
	return err
}

func methods(d *caddyfile.Dispenser) ([]string, error) {
	list, err := some(d)
	for _, method := range list {
		switch method {
		case "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt",
			"tls_client_auth", "self_signed_tls_client_auth", "none":
		default:
			return nil, d.Errf("auth has no method %q", method)
		}
	}
	return list, err
}

var _ caddyfile.Unmarshaler = (*App)(nil)
