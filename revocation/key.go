package revocation

import (
	"encoding/hex"
	"fmt"
)

// Kind says what a [Key] stands for.
type Kind uint8

// KindToken is one token: the digest is that of the token's identity.
const KindToken Kind = 1

// String names the kind as it appears in logs.
func (k Kind) String() string {
	if k == KindToken {
		return "token"
	}
	return fmt.Sprintf("kind %d", uint8(k))
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
