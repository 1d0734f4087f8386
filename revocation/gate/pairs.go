package gate

import "strings"

// query looks at the parameters of a query string (RFC 6750 §2.3).
func (g *Gate) query(s *search, raw string) bool {
	return raw == "" || pairs(s, raw, g.queries)
}

// pairs looks at name=value pairs, separated by "&" or, as some servers read
// them, also by ";".
func pairs(s *search, raw string, names []string) bool {
	for more := true; more; {
		var part string
		if part, raw, more = strings.Cut(raw, "&"); !pair(s, part, names) {
			return false
		}
		if strings.IndexByte(part, ';') < 0 {
			continue
		}
		for part := range strings.SplitSeq(part, ";") {
			if !pair(s, part, names) {
				return false
			}
		}
	}
	return true
}

func pair(s *search, part string, names []string) bool {
	name, value, ok := strings.Cut(part, "=")
	if !ok || !isNamed(name, names) {
		return true
	}
	if !s.token(unescape(value, '+')) {
		return false
	}
	// A plus is a space in a form, and a plus to whoever decodes percents only.
	if strings.IndexByte(value, '+') >= 0 && !s.reading(unescape(value, ' ')) {
		return false
	}
	// To qs, the name goes on until the first "]=" if there is one.
	for i := range value {
		if value[i] == '=' && (strings.HasSuffix(value[:i], "]") || strings.HasSuffix(value[:i], "%5D") || strings.HasSuffix(value[:i], "%5d")) {
			return s.reading(unescape(value[i+1:], '+'))
		}
	}
	return true
}

func isNamed(raw string, names []string) bool {
	for _, name := range names {
		if sameName(raw, name) {
			return true
		}
	}
	return false
}

// foldName gives a name the form that sameName compares with.
func foldName(name string) string {
	b := []byte(name)
	for i := range b {
		b[i] = foldByte(b[i])
	}
	return string(b)
}

// foldByte makes equal what some server does not tell apart in a name: the case
// of letters, and, in PHP, the dot, the space and the underscore.
func foldByte(c byte) byte {
	switch {
	case c == '.' || c == ' ' || c == '+':
		return '_'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// sameName says whether a server could read a percent-encoded name as the given
// one: with other letters, as an array of that name, or with something around it.
func sameName(raw, folded string) bool {
	for !beginsWithName(raw, folded) {
		if raw == "" {
			return false
		}
		c, n := unescapeByte(raw)
		if !aroundName(c) {
			return false
		}
		raw = raw[n:]
	}
	return true
}

// beginsWithName says whether behind a name nothing stands that belongs to it.
func beginsWithName(raw, folded string) bool {
	for len(folded) > 0 {
		if raw == "" {
			return false
		}
		c, n := unescapeByte(raw)
		if foldByte(c) != folded[0] && (c != '[' || folded[0] != '_') {
			return false
		}
		raw, folded = raw[n:], folded[1:]
	}
	if raw == "" {
		return true
	}
	c, _ := unescapeByte(raw)
	return aroundName(c)
}

// aroundName is true for what some server drops around a name: space of any
// kind, and brackets and dots, with which PHP, Rack and qs write arrays.
func aroundName(c byte) bool {
	return c <= ' ' || c > '~' || c == '+' || c == '[' || c == ']' || c == '.' || c == '?'
}

// unescape decodes percent-encoding, leaves alone what is none, and replaces a
// plus.
func unescape(s string, plus byte) string {
	if strings.IndexByte(s, '%') < 0 && (plus == '+' || strings.IndexByte(s, '+') < 0) {
		return s
	}
	b := make([]byte, 0, len(s))
	for len(s) > 0 {
		c, n := unescapeByte(s)
		if n == 1 && c == '+' {
			c = plus
		}
		b = append(b, c)
		s = s[n:]
	}
	return string(b)
}

// unescapeByte reads the first byte of s, which is not empty, and says how many
// characters it took. "%u0061" is a writing of "a" to ASP and Jetty.
func unescapeByte(s string) (c byte, n int) {
	if s[0] != '%' {
		return s[0], 1
	}
	n = 3
	if len(s) >= 6 && (s[1:4] == "u00" || s[1:4] == "U00") {
		n = 6
	}
	if len(s) >= n {
		if hi, lo := unhex(s[n-2]), unhex(s[n-1]); hi < 16 && lo < 16 {
			return hi<<4 | lo, n
		}
	}
	return '%', 1
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
