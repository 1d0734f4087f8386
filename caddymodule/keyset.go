package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// published holds what was fetched from elsewhere, by what it was configured
// as, so that a reload does not forget what a host that is down has said.
var published = caddy.NewUsagePool()

// pooled lets something that needs no closing stay in the pool.
type pooled[T any] struct{ value T }

func (pooled[T]) Destruct() error { return nil }

// keep returns what the pool has under a name, or else what is made, and has the
// app let go of it in the end.
func keep[T any](a *App, name string, make func() (T, error)) (value T, err error) {
	kept, _, err := published.LoadOrNew(name, func() (caddy.Destructor, error) {
		value, err := make()
		return pooled[T]{value}, err
	})
	if err != nil {
		return value, err
	}
	a.kept = append(a.kept, name)
	return kept.(pooled[T]).value, nil
}

// keySet is the JWK Set that is configured: as it is, in a file, or published
// under a URL.
func (a *App) keySet(jwks string) (keys.Set, error) {
	jwks, err := resolveKeys(jwks)
	if err != nil {
		return nil, err
	}
	switch {
	case isInline(jwks):
		return parsedKeys(jwks)
	case isURL(jwks):
		return keep(a, "jwks "+jwks, func() (*keys.Remote, error) {
			return keys.NewRemote(keys.RemoteConfig{URL: jwks})
		})
	}
	set, err := keys.NewFile(jwks)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	return set, nil
}

// uncheckedKeySet is keySet for a configuration that is only being written: of
// what is elsewhere nothing is known yet.
func uncheckedKeySet(jwks string) (keys.Set, error) {
	if isInline(jwks) {
		return parsedKeys(jwks)
	}
	return (*keys.Static)(nil), nil
}

func parsedKeys(jwks string) (keys.Set, error) {
	set, err := keys.Parse([]byte(jwks))
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	return set, nil
}

// resolveKeys resolves placeholders, which a JWK Set has none of, for all its
// braces.
func resolveKeys(jwks string) (string, error) {
	if isInline(jwks) {
		return jwks, nil
	}
	jwks, err := resolve("jwks", jwks)
	if err != nil {
		return "", err
	}
	return jwks, checkJWKS(jwks)
}

// isInline says whether a configured JWK Set is the document itself.
func isInline(jwks string) bool {
	jwks = strings.TrimSpace(jwks)
	return strings.HasPrefix(jwks, "{") && strings.Contains(jwks, `"keys"`)
}

func isURL(jwks string) bool { return strings.Contains(jwks, "://") }

func checkJWKS(jwks string) error {
	switch {
	case isInline(jwks):
		_, err := parsedKeys(jwks)
		return err
	case isURL(jwks):
		return checkURL(jwks)
	case strings.TrimSpace(jwks) == "":
		return errors.New("the JWK Set is empty")
	}
	return nil // a file, which is there when it is needed
}
