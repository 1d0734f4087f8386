package token

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

const asciiSpace = " \t\n\v\f\r"

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// What a character is not. Zero for a character of base64url.
const (
	notBase64URL = 1 << iota
	notVisible   // or a comma, which header fields use to separate values
)

var (
	class [256]byte
	sixes [256]byte // a character's six bits, where it has any
)

func init() {
	for c := range class {
		class[c] = notBase64URL
		if c <= ' ' || c >= 0x7f || c == ',' {
			class[c] |= notVisible
		}
	}
	for i := range alphabet {
		class[alphabet[i]] = 0
		sixes[alphabet[i]] = byte(i)
	}
}

// classes is the union of the classes of all characters: one pass, no branches,
// four independent chains.
func classes(s string) byte {
	var a, b, c, d byte
	for len(s) >= 8 {
		a |= class[s[0]] | class[s[4]]
		b |= class[s[1]] | class[s[5]]
		c |= class[s[2]] | class[s[6]]
		d |= class[s[3]] | class[s[7]]
		s = s[8:]
	}
	for i := range len(s) {
		a |= class[s[i]]
	}
	return a | b | c | d
}

// visible says whether s has only visible ASCII characters and no comma: eight
// at a time, twice as fast as classes, for the signature, where no more matters.
func visible(s string) bool {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	if strings.IndexByte(s, ',') >= 0 {
		return false
	}
	b := bytesOf(s)
	var bad uint64
	for ; len(b) >= 8; b = b[8:] {
		// A high bit comes up where a byte is above 0x7e (w, w+1) or below 0x21
		// (w-0x21). A borrow or carry between bytes needs such a byte too.
		w := binary.LittleEndian.Uint64(b)
		bad |= w | (w + ones) | (w - 0x21*ones)
	}
	if bad&high != 0 {
		return false
	}
	for _, c := range b {
		if class[c]&notVisible != 0 {
			return false
		}
	}
	return true
}

// noSpareBits says whether the last character of s carries no bits beyond the
// last whole byte. s has only characters of the alphabet.
func noSpareBits(s string) bool {
	switch len(s) % 4 {
	case 0:
		return true
	case 2:
		return sixes[s[len(s)-1]]&0x0f == 0
	case 3:
		return sixes[s[len(s)-1]]&0x03 == 0
	default: // one character over is six bits that make no byte
		return false
	}
}

// decode reads base64 as the most lenient decoder would: both alphabets, no
// matter what else stands between the characters, padded or not, spare bits
// ignored. It never fails.
func decode(s string) []byte {
	clean := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '+':
			clean = append(clean, '-')
		case c == '/':
			clean = append(clean, '_')
		case class[c]&notBase64URL == 0:
			clean = append(clean, c)
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	n, _ := base64.RawURLEncoding.Decode(clean, clean)
	return clean[:n]
}

// canonical is s as a strict encoder would have written it.
func canonical(s string) string { return base64.RawURLEncoding.EncodeToString(decode(s)) }
