package revocation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Kind says what a [Key] stands for.
type Kind uint8

// The kinds. Their numbers stand in files and never change.
const (
	// KindToken is one token: the digest is that of the token's identity.
	KindToken Kind = 1
	// KindUsed is something that may be used once and has been, such as a client
	// assertion; see [Denylist.Use] and [UsedKey].
	KindUsed Kind = 2
	// KindSession is a session of an issuer; see [SessionKey].
	KindSession Kind = 3
)

// String names the kind as it appears in logs.
func (k Kind) String() string {
	switch k {
	case KindToken:
		return "token"
	case KindUsed:
		return "used"
	case KindSession:
		return "session"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// SessionKey is the key of a session: the claims iss and sid (OpenID Connect
// Front-Channel Logout §3) of the tokens that belong to it.
func SessionKey(issuer, session string) Key { return keyOf(KindSession, issuer, session) }

// UsedKey is the key of a client assertion that has been used: its jti
// (RFC 7523 §3) belongs to the client, so that no other can use it up.
func UsedKey(client, jti string) Key { return keyOf(KindUsed, client, jti) }

// keyOf is the key of some texts, each with its length, so that no two lists of
// texts have the same.
func keyOf(kind Kind, texts ...string) Key {
	h := sha256.New()
	for _, text := range texts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(text)))
		_, _ = h.Write([]byte(text))
	}
	k := Key{Kind: kind}
	h.Sum(k.Digest[:0])
	return k
}

// KeySize is the length in bytes of an encoded [Key].
const KeySize = 33

// Key is what a record revokes: a kind and a SHA-256 digest. It is all that
// leaves a request; nothing that holds a Key can give the token back.
type Key struct {
	Digest [32]byte
	Kind   Kind
}

// Bytes is the encoded key: the kind, then the digest. Keys sort as these bytes.
func (k Key) Bytes() [KeySize]byte {
	var b [KeySize]byte
	b[0] = byte(k.Kind)
	copy(b[1:], k.Digest[:])
	return b
}

// ParseKey reads what [Key.Bytes] wrote. The error is [ErrCorrupt].
func ParseKey(b []byte) (Key, error) {
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("%w: a key of %d bytes", ErrCorrupt, len(b))
	}
	k := Key{Kind: Kind(b[0])}
	copy(k.Digest[:], b[1:])
	return k, nil
}

// Prefix is the first six bytes of the digest in hexadecimal: enough to find a
// record again, and all of a token that may stand in a log.
func (k Key) Prefix() string { return hex.EncodeToString(k.Digest[:6]) }

// String is the kind and the prefix.
func (k Key) String() string { return k.Kind.String() + " " + k.Prefix() }
