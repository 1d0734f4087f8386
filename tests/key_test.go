package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
)

// clientKey is a key that a client signs its assertions with.
type clientKey struct {
	alg     string
	private jose.JSONWebKey
}

// newKey makes a key for an algorithm.
func newKey(t *testing.T, alg string) clientKey {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return clientKey{alg, jose.JSONWebKey{Key: key, KeyID: "key-of-" + alg}}
}

// jwk is the private key as a JWK.
func (k clientKey) jwk(t *testing.T) json.RawMessage {
	t.Helper()
	b, err := k.private.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// set is the JWK Set of the public key.
func (k clientKey) set() string {
	public := k.private.Public()
	public.Algorithm, public.Use = k.alg, "sig"
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		panic(err) // which a key of this kind cannot cause
	}
	return string(b)
}

// withKeys writes a JWK Set into a file, whose path it puts in place of KEYS.
func withKeys(t *testing.T, caddyfile, set string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(caddyfile, "KEYS", path)
}

// assertion proves to an audience that it comes from a client (RFC 7523 §3).
func (k clientKey) assertion(t *testing.T, client, audience string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.alg), Key: k.private}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signed, err := josejwt.Signed(signer).Claims(josejwt.Claims{
		Issuer: client, Subject: client, Audience: josejwt.Audience{audience}, ID: newToken(),
		IssuedAt: josejwt.NewNumericDate(now), Expiry: josejwt.NewNumericDate(now.Add(time.Minute)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return confidential.add(signed)
}
