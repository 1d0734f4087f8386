package tests

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// revocationRequest is a request to the endpoint, and what has to come of it.
// TOKEN stands for the token, in the query, the body and the header.
type revocationRequest struct {
	name    string
	method  string // POST if empty
	query   string
	header  http.Header // replaces fields of that of a good request; a nil value removes one
	body    string      // that of a good request if empty
	noBody  bool
	chunked bool
	token   string // a new one if empty

	want  wanted
	lives bool // the token passes at the gate afterwards, though the answer is a success
}

// wanted is an answer of the endpoint. A success has no error, a refusal does.
type wanted struct {
	status    int
	error     string
	challenge bool   // WWW-Authenticate: Basic
	about     string // what the description has to name
}

var (
	success          = wanted{status: http.StatusOK}
	invalidRequest   = wanted{status: http.StatusBadRequest, error: "invalid_request"}
	unsupported      = wanted{status: http.StatusUnsupportedMediaType, error: "invalid_request"}
	tooLarge         = wanted{status: http.StatusRequestEntityTooLarge, error: "invalid_request"}
	badMethod        = wanted{status: http.StatusMethodNotAllowed, error: "invalid_request"}
	invalidClient    = wanted{status: http.StatusUnauthorized, error: "invalid_client"}
	invalidBasic     = wanted{status: http.StatusUnauthorized, error: "invalid_client", challenge: true}
	unsupportedToken = wanted{status: http.StatusBadRequest, error: "unsupported_token_type"}
	unavailable      = wanted{status: http.StatusServiceUnavailable, error: "temporarily_unavailable"}
)

// check holds an answer against what is wanted, in every header field that the
// endpoint sets.
func (w wanted) check(t *testing.T, method string, a answer) {
	t.Helper()
	if a.status != w.status {
		t.Errorf("status %d, want %d", a.status, w.status)
	}
	expect := map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json",
		"Allow": "", "Retry-After": "", "WWW-Authenticate": "",
	}
	if w.status == http.StatusMethodNotAllowed {
		expect["Allow"] = "POST, OPTIONS"
	}
	if w.status == http.StatusServiceUnavailable {
		expect["Retry-After"] = "2"
	}
	if w.challenge {
		expect["WWW-Authenticate"] = `Basic realm="restricted", charset="UTF-8"`
	}
	for name, value := range expect {
		if got := strings.Join(a.header.Values(name), ", "); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if method == http.MethodHead {
		return
	}
	if w.error == "" {
		if a.body != "{}" {
			t.Errorf("body %q, want {}", a.body)
		}
		return
	}
	var refusal struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(a.body), &refusal); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	if refusal.Error != w.error || refusal.Description == "" || !strings.Contains(refusal.Description, w.about) {
		t.Errorf("body %s, want error %s about %q", a.body, w.error, w.about)
	}
}

var tokens atomic.Int64

// newToken is a token that no other test has.
func newToken() string {
	return confidential.add(fmt.Sprintf("opaque-%d-%s", tokens.Add(1), rand.Text()))
}

// jwt is a token with these claims. Nobody here verifies its signature.
func jwt(claims string) string { return jwtWithHeader(`{"alg":"RS256","typ":"JWT"}`, claims) }

func jwtWithHeader(header, claims string) string {
	return confidential.add(compactJWT(header, claims))
}

func compactJWT(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte("a signature"))
}

// basic is the value of an Authorization field with these texts as they stand.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// fields is a header of alternating names and values. A name that stands twice
// has two values; without a value it is removed.
func fields(namesAndValues ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(namesAndValues); i += 2 {
		h.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return h
}

// without is a header that removes fields of a good request, and has others.
func without(name string, namesAndValues ...string) http.Header {
	h := fields(namesAndValues...)
	h[name] = nil
	return h
}

// try sends a request and checks everything that has to come of it: the answer,
// that the upstream saw nothing of it, and whether the token lives on.
func (c *caddy) try(t *testing.T, up *upstream, r revocationRequest) {
	t.Helper()
	if r.token == "" {
		r.token = newToken()
	}
	a := c.send(t, up, r)
	r.want.check(t, r.method, a)
	if strings.Contains(a.body, r.token) || strings.Contains(a.body, "backend-secret") {
		t.Errorf("the answer tells a secret: %s", a.body)
	}
	status := http.StatusOK
	if r.want.error == "" && !r.lives {
		status = http.StatusUnauthorized
	}
	if a := c.bearer(t, r.token); a.status != status {
		t.Errorf("the token at the gate: %d %s, want %d", a.status, a.body, status)
	}
}

// send sends a request and checks that the upstream saw nothing of it.
func (c *caddy) send(t *testing.T, up *upstream, r revocationRequest) answer {
	t.Helper()
	fill := strings.NewReplacer("TOKEN", r.token).Replace
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.body == "" && !r.noBody {
		r.body = "token=TOKEN"
	}
	var body io.Reader = strings.NewReader(fill(r.body))
	if r.chunked {
		body = struct{ io.Reader }{body} // of a length that is not known
	}
	request, err := http.NewRequest(r.method, c.url+"/token/revocation", body)
	if err != nil {
		t.Fatal(err)
	}
	request.URL.RawQuery = fill(r.query)
	request.Header = fields("Content-Type", "application/x-www-form-urlencoded", "Authorization", basic("backend", "backend-secret"))
	for name, values := range r.header {
		request.Header[name] = nil
		for _, value := range values {
			request.Header[name] = append(request.Header[name], fill(value))
		}
	}
	before := up.reached.Load()
	a := doWith(t, stranger(t), request)
	if up.reached.Load() != before {
		t.Error("the upstream saw the request")
	}
	return a
}
