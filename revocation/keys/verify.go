package keys

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Token is what somebody has signed, or seems to have.
type Token struct {
	// Alg, Kid and Typ are the header parameters of these names (RFC 7515 §4.1).
	Alg, Kid, Typ string
	// Foreign says that the header brings or names a key of its own, by jwk, jku
	// or x5u. It was not used, nor asked for.
	Foreign bool
	// Payload is what the signature is of.
	Payload []byte
}

// Unverified reads a JWS in compact serialization without checking its signature.
// Nothing in it can be relied on before [Verify] or [VerifyHMAC] has been asked
// about the same text. The error is ErrForged, for one that neither would accept.
func Unverified(compact string) (Token, error) {
	t, err := read(compact)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return t, nil
}

// Verify checks the signature of a JWS in compact serialization (RFC 7515 §7.1)
// with a key of the set, which is not asked unless the algorithm is one of those
// that are allowed here, and of [Asymmetric]. The error is ErrForged, or
// ErrUnavailable.
func Verify(ctx context.Context, compact string, algorithms []string, set Set) (Token, error) {
	t, signed, err := parse(compact, algorithms, Asymmetric)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	candidates, err := set.Find(ctx, t.Kid, t.Alg)
	if err != nil {
		return Token{}, err
	}
	for i := range candidates {
		key := &candidates[i]
		if !fits(key, t.Alg) {
			continue
		}
		if _, err := signed.Verify(verifier(key, t.Alg)); err == nil {
			return t, nil
		}
	}
	return Token{}, fmt.Errorf("%w: none of %d keys made it", ErrForged, len(candidates))
}

// VerifyHMAC is Verify with a shared secret, for the algorithms that are allowed
// here and of [Symmetric]. The error is ErrForged: also for a secret that is
// shorter than the hash (RFC 7518 §3.2).
func VerifyHMAC(compact string, algorithms []string, secret []byte) (Token, error) {
	t, signed, err := parse(compact, algorithms, Symmetric)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	if _, err := signed.Verify(secret); err != nil {
		return Token{}, fmt.Errorf("%w: the secret did not make it", ErrForged)
	}
	return t, nil
}

// parse prepares to verify a JWS with an allowed algorithm.
func parse(compact string, allowed, possible []string) (Token, *jose.JSONWebSignature, error) {
	t, err := read(compact)
	if err != nil {
		return Token{}, nil, err
	}
	if !slices.Contains(allowed, t.Alg) || !slices.Contains(possible, t.Alg) {
		return Token{}, nil, errors.New("the algorithm is not allowed")
	}
	signed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.Alg)})
	if err != nil { // which could hold anything of the token
		return Token{}, nil, errors.New("malformed")
	}
	return t, signed, nil
}

// read reads a JWS, and refuses what must be understood and is not: crit
// (RFC 7515 §4.1.11), and b64, which is nothing without it (RFC 7797 §6).
func read(compact string) (Token, error) {
	segments := strings.SplitN(compact, ".", 4)
	if len(segments) != 3 {
		return Token{}, errors.New("not a JWS in compact serialization")
	}
	var decoded [3][]byte
	for i, segment := range segments {
		b, err := base64.RawURLEncoding.DecodeString(segment)
		// Decoders skip line breaks and spare bits.
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != segment {
			return Token{}, errors.New("not base64url as it has to be written")
		}
		decoded[i] = b
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(decoded[0], &header) != nil {
		return Token{}, errors.New("the header is not a JSON object whose names stand once")
	}
	has := func(name string) bool { _, there := header[name]; return there }
	if has("crit") || has("b64") {
		return Token{}, errors.New("the header has crit or b64")
	}
	t := Token{Foreign: has("jwk") || has("jku") || has("x5u"), Payload: decoded[1]}
	for name, text := range map[string]*string{"alg": &t.Alg, "kid": &t.Kid, "typ": &t.Typ} {
		if has(name) && json.Unmarshal(header[name], text) != nil {
			return Token{}, fmt.Errorf("%s is not a text", name)
		}
	}
	return t, nil
}

// verifier is what go-jose checks a signature with. It knows Ed25519 by its old
// name only.
func verifier(key *jose.JSONWebKey, alg string) any {
	if public, ok := key.Key.(ed25519.PublicKey); ok && alg == "Ed25519" {
		return ed25519Verifier(public)
	}
	return key
}

// ed25519Verifier checks signatures of the algorithm Ed25519 (RFC 9864 §2.2),
// which are those of EdDSA with this kind of key.
type ed25519Verifier ed25519.PublicKey

// VerifyPayload implements [jose.OpaqueVerifier].
func (v ed25519Verifier) VerifyPayload(payload, signature []byte, alg jose.SignatureAlgorithm) error {
	if alg != "Ed25519" || !ed25519.Verify(ed25519.PublicKey(v), payload, signature) {
		return jose.ErrCryptoFailure
	}
	return nil
}
