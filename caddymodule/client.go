package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// Client is an OAuth client that may revoke tokens. Placeholders such as
// `{env.X}` and `{file.path}` are allowed in all of its values, and are the way
// to keep a secret out of the configuration.
type Client struct {
	// The client_id.
	ID string `json:"id,omitempty"`

	// How the client may authenticate, by the names of the OAuth registry:
	// `client_secret_basic`, `client_secret_post`, `client_secret_jwt`,
	// `private_key_jwt`, `tls_client_auth`, `self_signed_tls_client_auth`, or
	// `none` for a public client. Default: the first two with a secret,
	// `private_key_jwt` with `jwks`, `tls_client_auth` with a name of its
	// certificate, or else `none`.
	Auth []string `json:"auth,omitempty"`

	// The client's secret as it is.
	Secret string `json:"secret,omitempty"`

	// Or a hash of it: bcrypt (such as `caddy hash-password` makes) or argon2id
	// in the PHC string format.
	SecretHash string `json:"secret_hash,omitempty"`

	// The client's public keys: the URL or the file of a JWK Set, or the JWK Set
	// itself. They verify client assertions, and with their `x5c` self-signed
	// certificates.
	JWKS string `json:"jwks,omitempty"`

	// With which algorithms the client may sign assertions, by their JOSE names.
	// Default: all that go with its keys or its secret.
	SigningAlgs []string `json:"signing_algs,omitempty"`

	// The subject of the client's certificate as RFC 4514 writes it, such as
	// `CN=client,O=Example`. Only one of this and the following.
	TLSSubjectDN string `json:"tls_subject_dn,omitempty"`

	// Or: a DNS name among its subject alternative names.
	TLSSANDNS string `json:"tls_san_dns,omitempty"`

	// Or: a URI among them.
	TLSSANURI string `json:"tls_san_uri,omitempty"`

	// Or: an IP address among them.
	TLSSANIP string `json:"tls_san_ip,omitempty"`

	// Or: an email address among them.
	TLSSANEmail string `json:"tls_san_email,omitempty"`

	// The web origins from which scripts of this client may call the endpoint,
	// such as `https://app.example.com`. Default: none.
	Origins []string `json:"origins,omitempty"`

	// How many revocations of this client may be stored at once; one more is
	// answered 429. Default: 1000000.
	MaxRecords int `json:"max_records,omitempty"`
}

func (a *App) provisionClients() (*endpoint.Clients, error) {
	list := make([]endpoint.Client, 0, len(a.Clients))
	for i, c := range a.Clients {
		client, err := c.provision(a.keySet)
		if err != nil {
			return nil, fmt.Errorf("clients[%d] (%s): %w", i, c.ID, err)
		}
		list = append(list, client)
	}
	clients, err := endpoint.NewClients(list)
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	return clients, nil
}

// provision resolves placeholders, into values that no log or admin answer shows.
func (c *Client) provision(keySet func(jwks string) (keys.Set, error)) (client endpoint.Client, err error) {
	if client.ID, err = resolve("id", c.ID); err != nil {
		return client, err
	}
	for _, method := range c.Auth {
		client.Methods = append(client.Methods, endpoint.Method(method))
	}
	for _, origin := range c.Origins {
		origin, err := resolve("origins", origin)
		if err != nil {
			return client, err
		}
		client.Origins = append(client.Origins, origin)
	}
	if client.Secret, err = c.secret(); err != nil {
		return client, err
	}
	if c.JWKS != "" {
		if client.Keys, err = keySet(c.JWKS); err != nil {
			return client, err
		}
	}
	if client.Certificate, err = c.certificate(); err != nil {
		return client, err
	}
	client.Algorithms, client.MaxRecords = c.SigningAlgs, c.MaxRecords
	return client, client.Validate()
}

func (c *Client) certificate() (subject endpoint.CertificateSubject, err error) {
	for _, name := range []struct {
		field, value string
		resolved     *string
	}{
		{"tls_subject_dn", c.TLSSubjectDN, &subject.DN},
		{"tls_san_dns", c.TLSSANDNS, &subject.DNS},
		{"tls_san_uri", c.TLSSANURI, &subject.URI},
		{"tls_san_ip", c.TLSSANIP, &subject.IP},
		{"tls_san_email", c.TLSSANEmail, &subject.Email},
	} {
		if *name.resolved, err = resolve(name.field, name.value); err != nil {
			return subject, err
		}
	}
	return subject, nil
}

func (c *Client) secret() (*endpoint.Secret, error) {
	switch {
	case c.Secret != "" && c.SecretHash != "":
		return nil, errors.New("secret and secret_hash do not go together")
	case c.Secret != "":
		secret, err := resolveSecret(c.Secret)
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		return endpoint.PlainSecret(secret)
	case c.SecretHash != "":
		hash, err := resolveSecret(c.SecretHash)
		if err != nil {
			return nil, fmt.Errorf("secret_hash: %w", err)
		}
		secret, err := endpoint.HashedSecret(hash)
		if err != nil {
			return nil, fmt.Errorf("secret_hash: %w", err)
		}
		return secret, nil
	}
	return nil, nil
}

// check finds the mistakes that do not depend on what placeholders stand for,
// which only the running Caddy knows.
func (c *Client) check() error {
	known := *c
	if hasPlaceholder(c.ID) {
		known.ID = "placeholder"
	}
	known.Origins = slices.DeleteFunc(slices.Clone(c.Origins), hasPlaceholder)
	switch {
	case c.Secret != "" && c.SecretHash != "": // is a mistake
	case hasPlaceholder(c.Secret), hasPlaceholder(c.SecretHash):
		known.Secret, known.SecretHash = strings.Repeat("placeholder", 8), "" // long enough for any algorithm
	}
	for name, possible := range map[*string]string{
		&known.TLSSubjectDN: "CN=placeholder",
		&known.TLSSANDNS:    "placeholder",
		&known.TLSSANURI:    "urn:placeholder",
		&known.TLSSANIP:     "127.0.0.1",
		&known.TLSSANEmail:  "placeholder@example.com",
	} {
		if hasPlaceholder(*name) {
			*name = possible
		}
	}
	_, err := known.provision(uncheckedKeySet)
	return err
}

func hasPlaceholder(s string) bool { return strings.Contains(s, "{") }

func resolve(field, value string) (string, error) {
	resolved, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	return resolved, nil
}

// resolveSecret names the placeholder that failed only if it surely is one: a
// secret may have braces of its own.
func resolveSecret(value string) (string, error) {
	resolved, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil && !strings.HasPrefix(value, "{env.") && !strings.HasPrefix(value, "{file.") {
		return "", errors.New(`a placeholder is unknown or empty; write \{ for a brace`)
	}
	return resolved, err
}
