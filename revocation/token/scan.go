package token

import (
	"encoding/json"
	"slices"
	"strings"
)

// scanMembers lists those members of a JSON object that have one of some names,
// in any case. It is for objects as issuers write them, and reads no more of them
// than it has to. It answers false where a real parser is needed: also about names
// that are not plain.
func scanMembers(b []byte, one string, more []string) (list []member, ok bool) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return nil, false
	}
	for {
		name, next := plainString(b, skipSpace(b, i+1))
		if next < 0 {
			return nil, false
		}
		colon := skipSpace(b, next)
		if colon >= len(b) || b[colon] != ':' {
			return nil, false
		}
		begin := skipSpace(b, colon+1)
		end := skipValue(b, begin)
		if end < 0 {
			return nil, false
		}
		if isAny(name, one, more) {
			list = append(list, member{name: string(name), value: json.RawMessage(b[begin:end])})
		}
		if i = skipSpace(b, end); i >= len(b) || b[i] != ',' && b[i] != '}' {
			return nil, false
		}
		if b[i] == '}' {
			return list, true
		}
	}
}

func isAny(name []byte, one string, more []string) bool {
	return strings.EqualFold(string(name), one) ||
		slices.ContainsFunc(more, func(wanted string) bool { return strings.EqualFold(string(name), wanted) })
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
	for i++; i < len(b); i++ {
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
	end := i
	for end < len(b) && (b[end] >= '0' && b[end] <= '9' || b[end] >= 'a' && b[end] <= 'z' || b[end] == '-' || b[end] == '+' || b[end] == '.' || b[end] == 'E') {
		end++
	}
	if !json.Valid(b[i:end]) {
		return -1
	}
	return end
}
