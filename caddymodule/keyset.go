package caddymodule

import (
	"errors"
	"strings"
)

// isInline says whether a configured JWK Set is the document itself.
func isInline(jwks string) bool {
	jwks = strings.TrimSpace(jwks)
	return strings.HasPrefix(jwks, "{") && strings.Contains(jwks, `"keys"`)
}

func checkJWKS(jwks string) error {
	switch {
	case isInline(jwks):
		return nil
	case strings.Contains(jwks, "://"):
		return checkURL(jwks)
	case strings.TrimSpace(jwks) == "":
		return errors.New("the JWK Set is empty")
	}
	return nil // a file, which is there when it is needed
}
