package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// unmarshalIssuer reads
//
//	issuer <url> {
//		jwks <url or file>
//		audience <name>...
//		client_claim <claim>...
//		session_claim <claim>
//		id_claim <claim>
//	}
func (a *App) unmarshalIssuer(d *caddyfile.Dispenser) error {
	address, err := checked(d, unlessPlaceholder(checkIssuer))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(a.Issuers, func(i Issuer) bool { return i.URL == address }) {
		return d.Errf("issuer %s is there twice", address)
	}
	issuer := Issuer{URL: address}
	if err := options(d, issuer.unmarshalOption); err != nil {
		return err
	}
	a.Issuers = append(a.Issuers, issuer)
	return nil
}

func (i *Issuer) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "jwks":
		i.JWKS, err = checked(d, unlessPlaceholder(checkJWKS))
	case "audience":
		i.Audiences, err = some(d)
	case "client_claim":
		i.ClientClaims, err = some(d)
	case "session_claim":
		i.SessionClaim, err = one(d)
	case "id_claim":
		i.IDClaim, err = one(d)
	default:
		return d.Errf("issuer has no option %q", option)
	}
	return err
}

// unmarshalIntrospection reads
//
//	introspection <url> {
//		client_id <id>
//		client_secret <secret>
//		timeout <duration>
//	}
func (a *App) unmarshalIntrospection(d *caddyfile.Dispenser) error {
	address, err := checked(d, unlessPlaceholder(checkURL))
	if err != nil {
		return err
	}
	a.Introspection = &Introspection{URL: address}
	if err := options(d, a.Introspection.unmarshalOption); err != nil {
		return err
	}
	if a.Introspection.ClientID == "" || a.Introspection.ClientSecret == "" {
		return d.Err("introspection needs client_id and client_secret")
	}
	return nil
}

func (i *Introspection) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "client_id":
		i.ClientID, err = one(d)
	case "client_secret":
		i.ClientSecret, err = one(d)
	case "timeout":
		i.Timeout, err = positive(d)
	default:
		return d.Errf("introspection has no option %q", option)
	}
	return err
}

// unlessPlaceholder checks what does not depend on a placeholder, which only the
// running Caddy knows.
func unlessPlaceholder(check func(string) error) func(string) error {
	return func(s string) error {
		if hasPlaceholder(s) && !isInline(s) {
			return nil
		}
		return check(s)
	}
}
