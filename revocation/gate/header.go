package gate

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// space is what HTTP allows around the parts of a field.
const space = " \t"

// trim is strings.Trim with space, for texts that mostly have none.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// authorization looks at the field Authorization. More than one value, or a
// credential that is not one run of visible characters, is what intermediaries
// and servers read in different ways.
func (g *Gate) authorization(s *search, h http.Header) bool {
	values := h["Authorization"]
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return s.malformed("the request has more than one Authorization header field")
	}
	value := trim(values[0]) // HTTP/2 leaves it as it came
	end := 0
	for end < len(value) && value[end] != ' ' && value[end] != '\t' {
		end++
	}
	scheme := g.scheme(value[:end])
	if scheme == "" {
		return g.unknownScheme(s, value, end)
	}
	if scheme == "DPoP" {
		s.decision.Scheme = scheme
	}
	credential := trim(value[end:])
	id := token.Identify(credential)
	if !id.Visible {
		return s.malformed("the Authorization header field is not a scheme and one token")
	}
	s.decision.Tokens++
	if !s.identity(credential, &id) {
		return false
	}
	// A JWS whatever stands around it; of anything else a lenient server could
	// take a part.
	return id.Form == token.JWS || parameters(s, value[end:]) && g.behind(s, value, len(scheme)+1)
}

func (g *Gate) scheme(name string) string {
	for _, scheme := range g.schemes {
		if name == scheme || strings.EqualFold(name, scheme) {
			return scheme
		}
	}
	return ""
}

// unknownScheme looks for tokens that a lenient server would find all the same:
// one without a scheme, behind any scheme, or close behind a known one.
func (g *Gate) unknownScheme(s *search, value string, end int) bool {
	return s.reading(value) && s.reading(value[end:]) && g.behind(s, value, 0) && parameters(s, value)
}

// behind looks for what stands where a token would if any known scheme were
// there. Many servers cut off as many characters, and do not look at them.
func (g *Gate) behind(s *search, value string, from int) bool {
	for _, scheme := range g.schemes {
		n := len(scheme) + 1
		if n <= from || n > len(value) {
			continue
		}
		if !s.guess(strings.TrimLeft(value[n-1:], separators)) || !s.guess(value[n:]) {
			return false
		}
	}
	return true
}

// parameters looks at what may be a list of parameters, as Rails reads what
// follows any scheme: items between commas and semicolons, without a name or with
// that of a token, quoted or not.
func parameters(s *search, list string) bool {
	if !strings.ContainsAny(list, `=;"'`) {
		return true
	}
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == ';' }) {
		name, value, named := strings.Cut(item, "=")
		if !named || strings.Trim(value, `="'`) == "" { // the padding of an opaque token
			if !s.guess(item) {
				return false
			}
		} else if strings.HasSuffix(strings.ToLower(name), "token") && !s.reading(value) {
			return false
		}
	}
	return true
}

const separators = space + ":=.-_"

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// headerPlace is a header field, in all writings that a server could confuse
// with it.
type headerPlace struct {
	name    string // as foldField has it
	schemes []string
}

func (g *Gate) addHeader(p Place) error {
	if strings.ContainsFunc(p.Name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return fmt.Errorf("%q is not the name of a header field", p.Name)
	}
	if strings.EqualFold(p.Name, "Authorization") {
		if len(p.Schemes) == 0 {
			return fmt.Errorf("token header Authorization is always looked at: name the schemes to add")
		}
		g.schemes = append(g.schemes, p.Schemes...)
		return nil
	}
	g.headers = append(g.headers, headerPlace{name: foldField(p.Name), schemes: p.Schemes})
	return nil
}

// foldField gives a field's name the form that isField compares with: CGI, and
// what descends from it (WSGI, Rack, PHP), makes an underscore of a dash, and of
// anything else that is neither letter nor digit.
func foldField(name string) string {
	b := []byte(name)
	for i := range b {
		b[i] = foldFieldByte(b[i])
	}
	return string(b)
}

func foldFieldByte(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '_'
}

func isField(name, folded string) bool {
	if len(name) != len(folded) {
		return false
	}
	for i := range len(name) {
		if foldFieldByte(name[i]) != folded[i] {
			return false
		}
	}
	return true
}

func (g *Gate) inHeaders(s *search, h http.Header) bool {
	if len(g.headers) == 0 {
		return true
	}
	for name, values := range h {
		for i := range g.headers {
			if !isField(name, g.headers[i].name) {
				continue
			}
			for _, value := range values {
				if !g.headers[i].value(s, value) {
					return false
				}
			}
		}
	}
	return true
}

// value looks at a field's value as a whole and, since fields can be joined, as
// a list.
func (p *headerPlace) value(s *search, value string) bool {
	if !p.item(s, value) {
		return false
	}
	if strings.IndexByte(value, ',') < 0 {
		return true
	}
	for item := range strings.SplitSeq(value, ",") {
		if !p.item(s, item) {
			return false
		}
	}
	return true
}

// webSocketBearer is how Kubernetes, and what follows it, carries a token in
// Sec-WebSocket-Protocol: base64url behind this prefix.
const webSocketBearer = "base64url.bearer.authorization.k8s.io."

func (p *headerPlace) item(s *search, item string) bool {
	item = trim(item)
	if !s.token(item) {
		return false
	}
	if i := strings.LastIndexAny(item, space); i >= 0 && !s.reading(item[i:]) { // behind any scheme
		return false
	}
	for _, scheme := range p.schemes {
		if rest, ok := cutPrefixFold(item, scheme); ok && !s.reading(strings.TrimLeft(rest, separators)) {
			return false
		}
	}
	if rest, ok := cutPrefixFold(item, webSocketBearer); ok {
		if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(rest, "=")); err == nil {
			return s.reading(string(raw))
		}
	}
	return true
}
