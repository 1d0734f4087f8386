package token

import (
	"bytes"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// scan finds what matters in a JSON object. It is for objects as issuers write
// them, and reads no more of them than it has to. It does not know those for which
// a real parser is needed: also where names are not plain. Fits is false where
// there is too much that matters.
func (n *Names) scan(r *reading, b []byte, kinds revocation.KindSet) (known, fits bool) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false, false
	}
	for {
		name, word, next := plainName(b, skipSpace(b, i+1))
		if next < 0 {
			return false, false
		}
		colon := skipSpace(b, next)
		if colon >= len(b) || b[colon] != ':' {
			return false, false
		}
		begin := skipSpace(b, colon+1)
		end := skipValue(b, begin)
		if end < 0 {
			return false, false
		}
		if at := n.find(name, word); at >= 0 && !n.take(r, at, view(name), b[begin:end], kinds) {
			return true, false
		}
		if i = skipSpace(b, end); i >= len(b) || b[i] != ',' && b[i] != '}' {
			return false, false
		}
		if b[i] == '}' {
			return true, true
		}
	}
}

// plainName is plainString, and wordOf the name on the way.
func plainName(b []byte, i int) (name []byte, word uint64, next int) {
	if i >= len(b) || b[i] != '"' {
		return nil, 0, -1
	}
	for j := i + 1; j < len(b); j++ {
		c := b[j]
		if c == '"' {
			return b[i+1 : j], word, j + 1
		}
		if c == '\\' || c < ' ' || c >= 0x7f {
			return nil, 0, -1
		}
		word = word<<8 | uint64(c|' ')
	}
	return nil, 0, -1
}

// wordOf is what plain names of one length have in common if they are the same
// but for case: their last eight bytes, roughly in lower case.
func wordOf(name string) (word uint64) {
	for i := range len(name) {
		word = word<<8 | uint64(name[i]|' ')
	}
	return word
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the position behind a JSON value that begins at i, or -1.
// Whether what stands between the brackets of a list or object is JSON, too, is
// of no interest.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			if depth == 0 {
				return skipPlain(b, i)
			}
			i++
		}
		if depth < 0 {
			return -1
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

// skipString returns the position behind a JSON string that begins at i, or -1.
func skipString(b []byte, i int) int {
	i++
	quote := bytes.IndexByte(b[i:], '"')
	if quote < 0 {
		return -1
	}
	if bytes.IndexByte(b[i:i+quote], '\\') < 0 {
		return i + quote + 1
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipPlain returns the position behind a number or a word of JSON, or -1.
func skipPlain(b []byte, i int) int {
	end := i + digits(b[i:])
	if end > i && end < len(b) && (b[end] == ',' || b[end] == '}') && (b[i] != '0' || end == i+1) {
		return end // as nearly always
	}
	for end < len(b) && (b[end] >= '0' && b[end] <= '9' || b[end] >= 'a' && b[end] <= 'z' || b[end] == '-' || b[end] == '+' || b[end] == '.' || b[end] == 'E') {
		end++
	}
	switch word := b[i:end]; string(word) {
	case "true", "false", "null":
		return end
	default:
		if !isNumber(word) {
			return -1
		}
	}
	return end
}

// isNumber says whether b is a number of JSON.
func isNumber(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte("-"))
	whole := digits(b)
	if whole == 0 || whole > 1 && b[0] == '0' {
		return false
	}
	b = b[whole:]
	if len(b) > 0 && b[0] == '.' {
		fraction := digits(b[1:])
		if fraction == 0 {
			return false
		}
		b = b[1+fraction:]
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		exponent := digits(b)
		return exponent > 0 && exponent == len(b)
	}
	return len(b) == 0
}

// digits counts those with which b begins.
func digits(b []byte) (n int) {
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return n
}
