package token

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

const asciiSpace = " \t\n\v\f\r"

// trim is strings.Trim with asciiSpace, for texts that mostly have none.
func trim(s string) string {
	if s == "" || s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.Trim(s, asciiSpace)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// sixes is the six bits of a character of the alphabet, and notBase64URL of any
// other.
var sixes [256]byte

const notBase64URL = 0xff

func init() {
	for c := range sixes {
		sixes[c] = notBase64URL
	}
	for i := range alphabet {
		sixes[alphabet[i]] = byte(i)
	}
}

const ones = 0x0101010101010101 // as a factor: a byte, eight times

// within says whether all characters of s, which are ASCII if so, lie between
// two others. It looks at many at a time, and branches once.
func within(s string, first, last byte) bool {
	var bad uint64 // a high bit in the place of a character that is outside
	below, above := uint64(first)*ones, uint64(0x7f-last)*ones
	b := bytesOf(s)
	for ; len(b) >= 32; b = b[32:] {
		// A borrow or carry into another byte comes from one that is outside.
		w0, w1 := binary.LittleEndian.Uint64(b[0:8]), binary.LittleEndian.Uint64(b[8:16])
		w2, w3 := binary.LittleEndian.Uint64(b[16:24]), binary.LittleEndian.Uint64(b[24:32])
		bad |= w0 | (w0 - below) | (w0 + above) | w1 | (w1 - below) | (w1 + above) |
			w2 | (w2 - below) | (w2 + above) | w3 | (w3 - below) | (w3 + above)
	}
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		bad |= w | (w - below) | (w + above)
	}
	for _, c := range b {
		if c < first || c > last {
			return false
		}
	}
	return bad&(0x80*ones) == 0
}

// visible says whether s has only visible ASCII characters, and no comma.
func visible(s string) bool {
	return within(s, '-', 'z') || within(s, '!', '~') && strings.IndexByte(s, ',') < 0
}

// strange is 1 for what is neither in the alphabet nor a dot.
var strange [256]byte

func init() {
	for c := range strange {
		if sixes[c] == notBase64URL && c != '.' {
			strange[c] = 1
		}
	}
}

// plain says whether s, segments of base64url with dots between them, has no
// character besides: Python's decoder, and so jwcrypto, skips any other. Four
// chains, and one branch at the end.
func plain(s string) bool {
	var a, b, c, d byte
	for ; len(s) >= 8; s = s[8:] {
		a |= strange[s[0]] | strange[s[4]]
		b |= strange[s[1]] | strange[s[5]]
		c |= strange[s[2]] | strange[s[6]]
		d |= strange[s[3]] | strange[s[7]]
	}
	for i := range len(s) {
		a |= strange[s[i]]
	}
	return a|b|c|d == 0
}

// behindPadding says whether a segment goes on behind padding. Python's decoder,
// and Node's, end there; others skip the padding.
func behindPadding(segments ...string) bool {
	for _, s := range segments {
		i := strings.IndexByte(s, '=')
		if i >= 0 && strings.ContainsFunc(s[i:], func(r rune) bool { return strings.ContainsRune(alphabet+"+/", r) }) {
			return true
		}
	}
	return false
}

// noSpareBits says whether the last character of s carries no bits beyond the
// last whole byte.
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
		case sixes[c] != notBase64URL:
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
