package endpoint

import (
	"fmt"
	"net/http"
)

// Profile is the kind of API that an endpoint stands in for. It decides how a
// request is read and how it is answered.
type Profile string

// The profiles.
const (
	ProfileRFC7009 Profile = "rfc7009" // RFC 7009 as it is written
	ProfileSession Profile = "session" // a revocation ends the whole session
	ProfileJSON    Profile = "json"    // JSON bodies, 204, and 422 with a message per field
	ProfileFAPI    Profile = "fapi"    // regulated third parties, x-fapi-* header fields
)

// Scope is how much dies with a token.
type Scope string

// The scopes.
const (
	ScopeToken   Scope = "token"   // the token; with a refresh token its session
	ScopeSession Scope = "session" // the session of the token
)

// manner is how a profile reads requests and answers them.
type manner interface {
	// begin looks at the header fields, before anything else, and sets those of
	// every answer.
	begin(h http.Header, r *http.Request) *refusal
	// read reads the parameters from the body, which has been read, or has
	// failed to be.
	read(r *http.Request, b []byte, err error) (parameters, *refusal)
	// credentials finds those of the client.
	credentials(authorization []string, form parameters) (credentials, *refusal)
	// unknown is the answer for a token that does not exist; nil is success.
	unknown() *refusal
	// unanswered is the status where the authorization server does not answer.
	unanswered() int
	succeed(w http.ResponseWriter) (status int)
	fail(w http.ResponseWriter, f *refusal) (status int)
}

func mannerOf(p Profile) (m manner, scope Scope, err error) {
	switch p {
	case "", ProfileRFC7009:
		return formManner{}, ScopeToken, nil
	case ProfileSession:
		return formManner{}, ScopeSession, nil
	case ProfileJSON:
		return jsonManner{}, ScopeToken, nil
	case ProfileFAPI:
		return fapiManner{}, ScopeToken, nil
	}
	return nil, "", fmt.Errorf("profile %q does not exist", p)
}

// formManner is RFC 7009 as it is written.
type formManner struct{}

func (formManner) begin(http.Header, *http.Request) *refusal { return nil }

func (formManner) read(r *http.Request, b []byte, err error) (parameters, *refusal) {
	return readForm(r, b, err)
}

func (formManner) credentials(authorization []string, form parameters) (credentials, *refusal) {
	return present(authorization, form)
}

func (formManner) unknown() *refusal { return nil }

// unanswered is 503: RFC 7009 §2.2.1 has it, and has clients try again.
func (formManner) unanswered() int { return http.StatusServiceUnavailable }

func (formManner) succeed(w http.ResponseWriter) int {
	answer(w, http.StatusOK, struct{}{})
	return http.StatusOK
}

func (formManner) fail(w http.ResponseWriter, f *refusal) int {
	answer(w, f.status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{f.code, f.description})
	return f.status
}
