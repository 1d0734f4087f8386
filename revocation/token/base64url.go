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
	return bad&high == 0
}

// visible says whether s has only visible ASCII characters, and no comma.
func visible(s string) bool {
	return within(s, '-', 'z') || within(s, '!', '~') && strings.IndexByte(s, ',') < 0
}

// plain says whether s has characters of the alphabet only: Python's decoder, and
// so jwcrypto, skips any other. It looks at many at a time, and for dash and
// underscore only where there is something beside letters and digits: base64url
// of ASCII, as claims mostly are, has hardly any.
func plain(s string) bool {
	const block = 32
	b := bytesOf(s)
	for ; len(b) >= block; b = b[block:] {
		w0, w1 := binary.LittleEndian.Uint64(b[0:8]), binary.LittleEndian.Uint64(b[8:16])
		w2, w3 := binary.LittleEndian.Uint64(b[16:24]), binary.LittleEndian.Uint64(b[24:32])
		good := letterOrDigit(w0) & letterOrDigit(w1) & letterOrDigit(w2) & letterOrDigit(w3)
		if good&^(w0|w1|w2|w3)&high != high && !inAlphabet(b[:block]) {
			return false
		}
	}
	return inAlphabet(b)
}

func inAlphabet(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		if (letterOrDigit(w)|dash(w))&^w&high != high {
			return false
		}
	}
	for _, c := range b {
		if sixes[c] == notBase64URL {
			return false
		}
	}
	return true
}

const high = 0x80 * ones // the high bit of each byte

// letterOrDigit has the high bit in the place of each letter and digit among the
// ASCII characters of w: a sum has it from some character on, and so two of them
// differ in it between two characters.
func letterOrDigit(w uint64) uint64 {
	lower := w | ' '*ones
	return (lower + (0x80-'a')*ones) ^ (lower + (0x7f-'z')*ones) ^ (w + (0x80-'0')*ones) ^ (w + (0x7f-'9')*ones)
}

// dash is letterOrDigit for dash and underscore.
func dash(w uint64) uint64 {
	return (w + (0x80-'-')*ones) ^ (w + (0x7f-'-')*ones) ^ (w + (0x80-'_')*ones) ^ (w + (0x7f-'_')*ones)
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

// fourth is what a character of the alphabet contributes to 24 bits, by its place
// among four. What is none sets a bit beyond these.
var fourth [4][256]uint32

func init() {
	for place := range fourth {
		for c, six := range sixes {
			if fourth[place][c] = uint32(six) << (6 * (3 - place)); six == notBase64URL {
				fourth[place][c] = 1 << 24
			}
		}
	}
}

// decodeInto is decode that makes do with some room where that is enough. It is
// for each token whose claims are read, and half again as quick as encoding/base64.
func decodeInto(room []byte, s string) []byte {
	const slack = 8 // the last write is one of eight bytes
	if cap(room) < base64.RawURLEncoding.DecodedLen(len(s))+slack {
		return decode(s)
	}
	b, from, to, bad := room[:cap(room)], bytesOf(s), 0, uint32(0)
	for ; len(from) >= 8; from = from[8:] {
		hi := fourth[0][from[0]] | fourth[1][from[1]] | fourth[2][from[2]] | fourth[3][from[3]]
		lo := fourth[0][from[4]] | fourth[1][from[5]] | fourth[2][from[6]] | fourth[3][from[7]]
		bad |= hi | lo
		binary.BigEndian.PutUint64(b[to:], uint64(hi)<<40|uint64(lo)<<16)
		to += 6
	}
	n, err := base64.RawURLEncoding.Decode(b[to:], from)
	if err != nil || bad>>24 != 0 {
		return decode(s)
	}
	return b[:to+n]
}

// decode reads base64 as the most lenient decoder would: both alphabets, no
// matter what else stands between the characters, padded or not, spare bits
// ignored. It never fails.
func decode(s string) []byte {
	if isCanonical(s) {
		b, _ := base64.RawURLEncoding.DecodeString(s)
		return b
	}
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

// isCanonical says whether s is as a strict encoder would have written it.
func isCanonical(s string) bool { return plain(s) && noSpareBits(s) }

// canonical is s as a strict encoder would have written it.
func canonical(s string) string { return base64.RawURLEncoding.EncodeToString(decode(s)) }
