package token

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// jweSegments is how many segments a compact JWE has (RFC 7516 §7.1): header,
// encrypted key, initialization vector, ciphertext, tag.
const jweSegments = 5

func identifyCompactJWE(s string) (Identity, bool) {
	parts := strings.SplitN(s, ".", jweSegments+1)
	if len(parts) < jweSegments {
		return Identity{}, false
	}
	return identifyJWE(parts[0], parts[2], parts[3], parts[4]), true
}

func identifyJWE(header, iv, ciphertext, tag string) Identity {
	h := sha256.New()
	for _, segment := range [...]string{header, iv} {
		raw := decode(segment)
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(raw))))
		h.Write(raw)
	}
	// Ciphertext and tag are one text to most ciphers, whatever the border.
	h.Write(decode(ciphertext))
	h.Write(decode(tag))
	return Identity{
		Key: key([sha256.Size]byte(h.Sum(nil))), Form: JWE,
		Ambiguous: behindPadding(header, iv, ciphertext, tag),
	}
}
