package revocation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
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
	// KindSession is a session of an issuer (sid, OpenID Connect Front-Channel
	// Logout §3).
	KindSession Kind = 3
	// KindJTI is a token by its claim jti (RFC 7519 §4.1.7).
	KindJTI Kind = 4
	// KindSubject is all tokens of a subject (sub, RFC 7519 §4.1.2).
	KindSubject Kind = 5
	// KindClient is all tokens that were issued to a client (client_id, RFC 9068
	// §2.2).
	KindClient Kind = 6
	// KindKey is all tokens that say that they are signed with a key (kid, RFC
	// 7515 §4.1.4).
	KindKey Kind = 7
	// KindIssuer is all tokens of an issuer (iss, RFC 7519 §4.1.1).
	KindIssuer Kind = 8

	kindCount = 9
)

var kindNames = [kindCount]string{"", "token", "used", "session", "jti", "subject", "client", "key", "issuer"}

// Kinds are all kinds, in the order of their keys.
func Kinds() []Kind {
	return []Kind{KindToken, KindUsed, KindSession, KindJTI, KindSubject, KindClient, KindKey, KindIssuer}
}

// ParseKind is the kind with a name; the error is [ErrInvalid].
func ParseKind(name string) (Kind, error) {
	if i := slices.Index(kindNames[1:], name); i >= 0 {
		return Kind(i + 1), nil
	}
	return 0, fmt.Errorf("%w: there is no such kind", ErrInvalid) // which may be a token by mistake
}

// String names the kind as it appears in logs.
func (k Kind) String() string {
	if 0 < k && k < kindCount {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Rule says whether keys of this kind revoke by what tokens say about
// themselves, within an issuer, and not one token as such.
func (k Kind) Rule() bool { return KindSession <= k && k <= KindIssuer }

// IssuedBefore says whether records of this kind revoke only tokens that were
// issued at or before [Record.IssuedBefore].
func (k Kind) IssuedBefore() bool { return KindSubject <= k && k <= KindIssuer }

// RuleKey is the key of a rule: a claim of tokens and their iss. The value of
// an issuer's own rule is empty.
func RuleKey(kind Kind, issuer, value string) Key { return keyOf(kind, issuer, value) }

// SessionKey is the key of a session: the claims iss and sid of the tokens that
// belong to it.
func SessionKey(issuer, session string) Key { return keyOf(KindSession, issuer, session) }

// UsedKey is the key of a client assertion that has been used: its jti
// (RFC 7523 §3) belongs to the client, so that no other can use it up.
func UsedKey(client, jti string) Key { return keyOf(KindUsed, client, jti) }

// keyOf is the key of two texts, each with its length, so that no other two have
// the same.
func keyOf(kind Kind, one, other string) Key {
	var room [256]byte // on the stack: the gate does this for several claims of each token
	b := room[:0]
	for _, text := range [...]string{one, other} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	return Key{Kind: kind, Digest: sha256.Sum256(b)}
}

// KeySize is the length in bytes of an encoded [Key].
const KeySize = 33

// Key is what a record is about: a kind and a SHA-256 digest. It is all that
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

// ID is the kind and the whole digest in hexadecimal, such as "token:9f86…": by
// it operators name a record.
func (k Key) ID() string { return k.Kind.String() + ":" + hex.EncodeToString(k.Digest[:]) }

// ParseID reads what [Key.ID] wrote; the error is [ErrInvalid].
func ParseID(id string) (Key, error) {
	name, digest, _ := strings.Cut(id, ":")
	kind, err := ParseKind(name)
	if err != nil {
		return Key{}, err
	}
	k := Key{Kind: kind}
	if b, err := hex.DecodeString(digest); err != nil || copy(k.Digest[:], b) != len(k.Digest) || len(b) != len(k.Digest) {
		return Key{}, fmt.Errorf("%w: the digest of an id is 64 hexadecimal digits", ErrInvalid)
	}
	return k, nil
}
