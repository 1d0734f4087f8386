// Package keys knows the public keys of others: where they are published, which
// of them may have made a signature, and whether they have.
package keys

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math"

	"github.com/go-jose/go-jose/v4"
)

var (
	// ErrForged says that a signature was not made with an acceptable key and
	// algorithm, or that what it is of cannot be read.
	ErrForged = errors.New("the signature cannot be accepted")

	// ErrUnavailable says that the keys could not be had now. A retry may succeed.
	ErrUnavailable = errors.New("the keys are not available")
)

// Asymmetric are the algorithms whose signatures are checked with public keys
// (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2), and Symmetric those of shared
// secrets (RFC 7518 §3.2). Not to be changed.
var (
	Asymmetric = []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "EdDSA", "Ed25519",
	}
	Symmetric = []string{"HS256", "HS384", "HS512"}
)

// Set finds public keys with which a signature may be checked. It is safe for
// concurrent use.
type Set interface {
	// Find returns the keys that may have made a signature with this algorithm
	// and this key id, which is empty if the signature names none. A key without
	// an id may have made any. The error is ErrUnavailable.
	Find(ctx context.Context, kid, alg string) ([]jose.JSONWebKey, error)
}

// Certificates is a set of keys that come with certificates (RFC 7517 §4.7 to
// §4.9). The sets of this package are both.
type Certificates interface {
	// Holds says whether this very certificate stands in the set: as the first
	// of a key's x5c, or by its x5t#S256. The error is ErrUnavailable.
	Holds(ctx context.Context, certificate *x509.Certificate) (bool, error)
}

// minRSA and maxRSA bound a modulus, in bits (RFC 7518 §3.3). A larger one costs
// more than a stranger's signature is worth, and is none to go-jose either.
const minRSA, maxRSA = 2048, 4096

// fits says whether a key may check a signature of an algorithm, by its kind and
// by what it says about itself.
func fits(key *jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		switch alg {
		case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
			return sound(public)
		}
	case *ecdsa.PublicKey:
		switch alg {
		case "ES256":
			return public.Curve == elliptic.P256()
		case "ES384":
			return public.Curve == elliptic.P384()
		case "ES512":
			return public.Curve == elliptic.P521()
		}
	case ed25519.PublicKey:
		return alg == "EdDSA" || alg == "Ed25519"
	}
	return false
}

// sound says whether an RSA key is one: its exponent is odd and at least 3 (RFC 8017
// §3.1); with 1, anybody could sign. One beyond 31 bits is none to crypto/rsa.
func sound(key *rsa.PublicKey) bool {
	bits := key.N.BitLen()
	return bits >= minRSA && bits <= maxRSA && key.E >= 3 && key.E <= math.MaxInt32 && key.E%2 == 1
}
