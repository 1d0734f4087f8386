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

// Token is what somebody has signed.
type Token struct {
	// Alg, Kid and Typ are the header parameters of these names (RFC 7515 §4.1).
	Alg, Kid, Typ string
	// Foreign says that the header brings or names a key of its own, by jwk, jku
	// or x5u. It was not used, nor asked for.
	Foreign bool
	// Payload is what the signature is of.
	Payload []byte
}

// Verify checks the signature of a JWS in compact serialization (RFC 7515 §7.1)
// with a key of the set, which is not asked unless the algorithm is one of those
// that are allowed here, and of [Asymmetric]. The error is ErrForged, or
// ErrUnavailable.
func Verify(ctx context.Context, compact string, algorithms []string, set Set) (Token, error) {
	t, signed, err := parse(compact, algorithms, Asymmetric)
	if err != nil {
		return Token{}, err
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
		if t.Payload, err = signed.Verify(verifier(key, t.Alg)); err == nil {
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
		return Token{}, err
	}
	if t.Payload, err = signed.Verify(secret); err != nil {
		return Token{}, fmt.Errorf("%w: the secret did not make it", ErrForged)
	}
	return t, nil
}

// parse reads everything but the payload of a JWS.
func parse(compact string, allowed, possible []string) (Token, *jose.JSONWebSignature, error) {
	forged := func(why string) (Token, *jose.JSONWebSignature, error) {
		return Token{}, nil, fmt.Errorf("%w: %s", ErrForged, why)
	}
	segments := strings.SplitN(compact, ".", 4)
	if len(segments) != 3 {
		return forged("not a JWS in compact serialization")
	}
	for _, segment := range segments {
		if !canonical(segment) {
			return forged("not base64url as it has to be written")
		}
	}
	t, err := readHeader(segments[0])
	if err != nil {
		return forged(err.Error())
	}
	if !slices.Contains(allowed, t.Alg) || !slices.Contains(possible, t.Alg) {
		return forged("the algorithm is not allowed")
	}
	signed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.Alg)})
	if err != nil {
		return forged("malformed")
	}
	return t, signed, nil
}

// canonical says whether a segment is base64url in the one writing that it has:
// decoders skip line breaks and spare bits.
func canonical(segment string) bool {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && base64.RawURLEncoding.EncodeToString(b) == segment
}

// readHeader reads a header, and refuses what must be understood and is not:
// crit (RFC 7515 §4.1.11), and b64, which is nothing without it (RFC 7797 §6).
func readHeader(segment string) (Token, error) {
	b, _ := base64.RawURLEncoding.DecodeString(segment)
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil || members == nil {
		return Token{}, errors.New("the header is not a JSON object whose names stand once")
	}
	has := func(name string) bool { _, there := members[name]; return there }
	if has("crit") || has("b64") {
		return Token{}, errors.New("the header has crit or b64")
	}
	t := Token{Foreign: has("jwk") || has("jku") || has("x5u")}
	for name, text := range map[string]*string{"alg": &t.Alg, "kid": &t.Kid, "typ": &t.Typ} {
		if has(name) && json.Unmarshal(members[name], text) != nil {
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
