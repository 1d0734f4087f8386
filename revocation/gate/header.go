package gate

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

const space = " \t"

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
	value := strings.Trim(values[0], space)
	end := strings.IndexAny(value, space)
	if end < 0 {
		end = len(value)
	}
	scheme := g.scheme(value[:end])
	if scheme == "" {
		return g.unknownScheme(s, value, end)
	}
	if scheme == "DPoP" {
		s.decision.Scheme = scheme
	}
	id := token.Identify(value[end:])
	if !id.Visible {
		return s.malformed("the Authorization header field is not a scheme and one token")
	}
	s.decision.Tokens++
	return s.identity(&id)
}

func (g *Gate) scheme(name string) string {
	for _, scheme := range g.schemes {
		if strings.EqualFold(name, scheme) {
			return scheme
		}
	}
	return ""
}

// unknownScheme looks for tokens that a lenient server would find all the same:
// one without a scheme, behind any scheme, or close behind a known one.
func (g *Gate) unknownScheme(s *search, value string, end int) bool {
	if !s.guess(value) || !s.guess(strings.Trim(value[end:], space)) {
		return false
	}
	for _, scheme := range g.schemes {
		if rest, ok := cutPrefixFold(value, scheme); ok && !s.guess(strings.TrimLeft(rest, separators)) {
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
	names   []string
	schemes []string
}

const maxDashes = 6

func (g *Gate) addHeader(p Place) error {
	name := http.CanonicalHeaderKey(p.Name)
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return fmt.Errorf("%q is not the name of a header field", p.Name)
	}
	if name == "Authorization" {
		if len(p.Schemes) == 0 {
			return fmt.Errorf("token header Authorization is always looked at: name the schemes to add")
		}
		g.schemes = append(g.schemes, p.Schemes...)
		return nil
	}
	if strings.Count(name, "-") > maxDashes {
		return fmt.Errorf("token header %s: the name has more than %d dashes", p.Name, maxDashes)
	}
	g.headers = append(g.headers, headerPlace{names: spellings(name), schemes: p.Schemes})
	return nil
}

// spellings lists a name with each of its dashes as dash or underscore: CGI and
// what descends from it (WSGI, PHP) does not tell them apart.
func spellings(name string) []string {
	all := []string{""}
	for i, part := range strings.Split(name, "-") {
		longer := make([]string, 0, 2*len(all))
		for _, head := range all {
			if i == 0 {
				longer = append(longer, part)
				continue
			}
			longer = append(longer, head+"-"+part, head+"_"+part)
		}
		all = longer
	}
	for i := range all {
		all[i] = http.CanonicalHeaderKey(all[i])
	}
	return all
}

func (g *Gate) inHeaders(s *search, h http.Header) bool {
	for i := range g.headers {
		for _, name := range g.headers[i].names {
			for _, value := range h[name] {
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
	item = strings.Trim(item, space)
	if !s.token(item) {
		return false
	}
	for _, scheme := range p.schemes {
		if rest, ok := cutPrefixFold(item, scheme); ok && !s.guess(strings.TrimLeft(rest, separators)) {
			return false
		}
	}
	if rest, ok := cutPrefixFold(item, webSocketBearer); ok {
		if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(rest, "=")); err == nil {
			return s.guess(string(raw))
		}
	}
	return true
}
