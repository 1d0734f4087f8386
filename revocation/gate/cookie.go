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
			if part = trim(part); strings.ContainsAny(part, separatorsInCookies) && !g.cookieAmong(s, part) {
				return false
			}
		}
	}
	return true
}

// separatorsInCookies are those of RFC 2109 and of Python's http.cookies.
const separatorsInCookies = ", \t"

// cookieAmong looks at cookies between other separators than semicolons, with
// spaces around "=" or without.
func (g *Gate) cookieAmong(s *search, part string) bool {
	words := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(separatorsInCookies, r) })
	for i := range words {
		for n := 1; n <= 3 && i+n <= len(words); n++ {
			if !g.cookie(s, strings.Join(words[i:i+n], "")) {
				return false
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
	return s.reading(unescape(value, '+')) && s.reading(unescape(value, ' '))
}

// notInCookie is true for what is no cookie-octet (RFC 6265 §4.1.1).
func notInCookie(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '"' || r == ',' || r == ';' || r == '\\'
}
