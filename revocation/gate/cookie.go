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
			// A separator in RFC 2109, and so to a few servers still.
			if strings.IndexByte(part, ',') < 0 {
				continue
			}
			for part := range strings.SplitSeq(part, ",") {
				if !g.cookie(s, part) {
					return false
				}
			}
		}
	}
	return true
}

func (g *Gate) cookie(s *search, part string) bool {
	name, value, ok := strings.Cut(strings.Trim(part, space), "=")
	if !ok || !isNamed(strings.TrimRight(name, space), g.cookies) {
		return true
	}
	value = strings.Trim(value, space)
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
	if strings.IndexByte(value, '%') < 0 {
		return true
	}
	return s.guess(unescape(value, '+')) && s.guess(unescape(value, ' '))
}

// notInCookie is true for what is no cookie-octet (RFC 6265 §4.1.1).
func notInCookie(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '"' || r == ',' || r == ';' || r == '\\'
}
