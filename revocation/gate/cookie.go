package gate

import (
	"net/http"
	"strings"
)

// inCookies looks at the cookies of all Cookie header fields (RFC 6265 §4.2),
// not with net/http, which leaves out what it holds to be invalid.
func (g *Gate) inCookies(s *search, h http.Header) bool {
	if len(g.cookies) == 0 {
		return true
	}
	for _, field := range h["Cookie"] {
		for part := range strings.SplitSeq(field, ";") {
			if !g.cookie(s, part) {
				return false
			}
			// Separators in RFC 2109 and in Python's http.cookies.
			if !strings.ContainsAny(trim(part), ", \t") {
				continue
			}
			for part := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
				if !g.cookie(s, part) {
					return false
				}
			}
		}
	}
	return true
}

func (g *Gate) cookie(s *search, part string) bool {
	name, value, ok := strings.Cut(part, "=")
	if !ok || !isNamed(name, g.cookies) {
		return true
	}
	value = trim(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	// Servers drop, cut, unquote or keep any other character.
	if strings.ContainsFunc(value, notInCookie) {
		return s.malformed("a cookie that carries a token has characters that no cookie may have")
	}
	if !s.token(value) {
		return false
	}
	if !strings.ContainsAny(value, "%+") {
		return true
	}
	return s.guess(unescape(value, '+')) && s.guess(unescape(value, ' '))
}

// notInCookie is true for what is no cookie-octet (RFC 6265 §4.1.1).
func notInCookie(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '"' || r == ',' || r == ';' || r == '\\'
}
