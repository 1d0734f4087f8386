// Package token gives every presented token its identity: the key under which
// it is revoked and found again, whichever way the token is written.
package token

import (
	"crypto/sha256"
	"strings"
	"unsafe"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Form is what kind of credential a presented token is.
type Form uint8

// The forms of a token.
const (
	Opaque Form = iota // a text that means something to its issuer only
	JWS                // signed, RFC 7515; a JWT is usually one
	JWE                // encrypted, RFC 7516
)

// Identity is what a presented token is known by.
type Identity struct {
	// Key is the token's own key.
	Key revocation.Key
	// Others are the keys of the further signatures, where the token is a JSON
	// serialization that has several. Nearly always nil.
	Others []revocation.Key
	// Ambiguous says that the token can be read in more than one way, so that
	// its keys may not be all that it stands for. No such token is to be trusted.
	Ambiguous bool
	// Form is how the token was understood.
	Form Form
	// Visible says that the token, trimmed, is one run of visible ASCII
	// characters without a comma, as a credential in a header has to be.
	Visible bool
}

// Identify returns the identity of a presented token. Every writing of a token
// that some widely used library accepts as that token has the same identity:
//
//   - A JWS in compact serialization is known by SHA-256 of its signing input,
//     "header.payload", in canonical base64url. The signature stays out: it can
//     be written in many ways that verify (spare bits, line breaks, the other
//     of an ECDSA twin). The signing input is made canonical because go-jose
//     strips white space and encodes the segments anew before it verifies, so
//     that spare bits and line breaks in these segments verify there too.
//   - A JWE in compact serialization is known by SHA-256 over its decoded
//     header, initialization vector, and ciphertext with tag. The encrypted key
//     stays out: nothing authenticates it where the key is agreed on directly.
//   - The JSON serializations of both (RFC 7515 §7.2, RFC 7516 §7.2) are known
//     as the compact ones, because some libraries take them in their place.
//   - Anything else is opaque and known by SHA-256 of its bytes, without the
//     ASCII white space around them.
//
// It accepts every input and, for a JWS in canonical writing, does not allocate.
func Identify(s string) Identity {
	s = trim(s)
	if object, ok := jsonText(s); ok {
		if id, ok := identifyJSON(object); ok {
			return id
		}
		// Python, and so jwcrypto, knows more numbers than JSON has.
		if strings.Contains(object, "NaN") || strings.Contains(object, "Infinity") {
			id := identifyOpaque(s)
			id.Ambiguous = true
			return id
		}
	}
	header, rest, _ := strings.Cut(s, ".")
	payload, tail, ok := strings.Cut(rest, ".")
	if !ok {
		return identifyOpaque(s)
	}
	form, asIssued := headerForm(header)
	switch form {
	case JWE:
		if id, ok := identifyCompactJWE(s); ok {
			id.Visible = visible(s)
			return id
		}
		fallthrough // a JWS may have any name in its header
	case JWS:
		if asIssued && isCanonical(payload) {
			input := s[:len(header)+1+len(payload)]
			return Identity{Key: key(sha256.Sum256(bytesOf(input))), Form: JWS, Visible: visible(tail)}
		}
		return Identity{
			Key: key(signingInput(header, payload)), Form: JWS, Visible: visible(s),
			Ambiguous: behindPadding(header, payload),
		}
	}
	id := identifyOpaque(s)
	id.Ambiguous = almostHeader(header)
	return id
}

func identifyOpaque(s string) Identity {
	return Identity{Key: key(sha256.Sum256(bytesOf(s))), Visible: s != "" && visible(s)}
}

func key(digest [sha256.Size]byte) revocation.Key {
	return revocation.Key{Kind: revocation.KindToken, Digest: digest}
}

// signingInput is the digest of header and payload in canonical base64url.
func signingInput(header, payload string) [sha256.Size]byte {
	return sha256.Sum256([]byte(canonical(header) + "." + canonical(payload)))
}

// bytesOf is s without a copy, for readers only.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
