package endpoint

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
)

// maxBody is how large a request's body may be, in bytes.
const maxBody = 64 << 10

// parameters are those of a request that mean something here, by name.
type parameters map[string]string

// known are the parameters that may stand once only and only in the body
// (RFC 6749 §3.2, RFC 7009 §2.1, RFC 7521 §4.2).
var known = map[string]bool{
	"token":                 true,
	"token_type_hint":       true,
	"client_id":             true,
	"client_secret":         true,
	"client_assertion":      true,
	"client_assertion_type": true,
}

const formType = "application/x-www-form-urlencoded"

// readForm reads the parameters from a request's body, which has been read, or
// has failed to be.
func readForm(r *http.Request, b []byte, err error) (parameters, *refusal) {
	if refused := readable(r, err, formType); refused != nil {
		return nil, refused
	}
	return parseForm(string(b))
}

// readable says whether a request has a body of a type, and all of it was read.
func readable(r *http.Request, err error, wanted string) *refusal {
	if r.Method != http.MethodPost {
		return &refusal{status: http.StatusMethodNotAllowed, code: "invalid_request", description: "use POST"}
	}
	if misplaced(r.URL.RawQuery) {
		return invalidRequest("a parameter stands in the query instead of the body")
	}
	encoding := strings.Join(r.Header["Content-Encoding"], ",")
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &refusal{status: http.StatusUnsupportedMediaType, code: "invalid_request", description: "Content-Encoding is not supported"}
	}
	if mediaType(r) != wanted {
		return &refusal{status: http.StatusUnsupportedMediaType, code: "invalid_request", description: "Content-Type must be " + wanted}
	}
	switch {
	case errors.Is(err, body.ErrTooLarge):
		return &refusal{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: err.Error()}
	case errors.Is(err, body.ErrSlow):
		return &refusal{status: http.StatusRequestTimeout, code: "invalid_request", description: err.Error()}
	case err != nil:
		return invalidRequest(err.Error())
	}
	return nil
}

// mediaType is that of the body, without its parameters.
func mediaType(r *http.Request) string {
	types := r.Header["Content-Type"]
	if len(types) != 1 {
		return ""
	}
	media, _, _ := mime.ParseMediaType(types[0])
	return media
}

// parseForm reads a form strictly: what parsers could read in two ways is refused.
func parseForm(form string) (parameters, *refusal) {
	if strings.Contains(form, ";") {
		return nil, invalidField(wholeBody, "has a semicolon, which is not a separator; write %3B")
	}
	p := parameters{}
	for pair := range strings.SplitSeq(form, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if err != nil || err2 != nil {
			return nil, invalidField(wholeBody, "is not valid percent-encoding")
		}
		if !known[name] {
			continue
		}
		if _, twice := p[name]; twice {
			return nil, invalidField(name, "stands twice")
		}
		p[name] = value
	}
	return p, nil
}

// misplaced says whether a query has a parameter that belongs in the body.
func misplaced(query string) bool {
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && decoded != "token_type_hint" && known[decoded] {
			return true
		}
	}
	return false
}
