package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fapiSite has a third party that signs assertions, another one whose keys
// nobody can fetch, and a client of a kind that the profile does not know.
const fapiSite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		client tpp {
			jwks ` + "`JWKS`" + `
		}
		client unreachable {
			jwks http://localhost:1/jwks.json
		}
		client backend {
			secret backend-secret
		}
	}
}
http://localhost:PORT {
	token_revocation {
		profile fapi
	}
	reverse_proxy UPSTREAM
}
`

// asserted are the parameters of a form with a client's assertion.
func asserted(assertion string) string {
	return "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + assertion
}

var uuidSyntax = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

const interaction = "X-Fapi-Interaction-Id"

// fapiCase is a request to an endpoint of profile fapi, and what comes of it.
type fapiCase struct {
	name   string
	header http.Header
	method string
	body   string // ASSERTION stands for a good one; empty is the token with one
	status int
}

const good = "token=TOKEN&ASSERTION"

// Every answer has the interaction id, every error its body, and what is refused
// leaves the token alone.
func TestProfileFAPI(t *testing.T) {
	up := newUpstream(t)
	tpp := newKey(t, "ES256")
	c := start(t, strings.Replace(fapiSite, "JWKS", tpp.set(), 1), up)
	for _, r := range append(fapiFields(), fapiAnswers(t, tpp, c.url+"/token/revocation")...) {
		t.Run(r.name, func(t *testing.T) {
			token := newToken()
			header := without("Authorization")
			for name, values := range r.header {
				header[name] = values
			}
			if r.body == "" {
				r.body = good
			}
			body := strings.Replace(r.body, "ASSERTION", asserted(tpp.assertion(t, "tpp", c.url+"/token/revocation")), 1)
			a := c.send(t, up, revocationRequest{token: token, method: r.method, header: header, body: body})
			if a.status != r.status {
				t.Errorf("%d %s, want %d", a.status, a.body, r.status)
			}
			checkFAPI(t, r.header, a)
			want := http.StatusOK
			if r.status == http.StatusNoContent {
				want = http.StatusUnauthorized
			}
			if a := c.bearer(t, token); a.status != want {
				t.Errorf("the token at the gate: %d, want %d", a.status, want)
			}
		})
	}
}

func checkFAPI(t *testing.T, sent http.Header, a answer) {
	t.Helper()
	id := strings.Join(a.header.Values(interaction), " and ")
	if given := sent[interaction]; len(given) == 1 && len(given[0]) == 36 && !strings.Contains(given[0], "x") {
		if id != given[0] {
			t.Errorf("interaction id %q, want %q", id, given[0])
		}
	} else if !uuidSyntax.MatchString(id) {
		t.Errorf("interaction id %q", id)
	}
	if a.status == http.StatusNoContent {
		if a.body != "" {
			t.Errorf("body %q", a.body)
		}
		return
	}
	var body struct{ Errors []string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || len(body.Errors) != 1 || a.header.Get("Content-Type") != inJSON {
		t.Errorf("%s %q: %v", a.header.Get("Content-Type"), a.body, err)
	}
}

func fapiFields() (list []fapiCase) {
	add := func(status int, name string, values ...string) {
		for _, value := range values {
			list = append(list, fapiCase{name: name + " " + value[:min(len(value), 50)], header: http.Header{name: {value}}, status: status})
		}
	}
	const ok, bad, no = http.StatusNoContent, http.StatusBadRequest, http.StatusNotAcceptable
	id := "93bac548-d2de-4546-b106-880a5018460d"
	add(ok, interaction, id, strings.ToUpper(id))
	add(bad, interaction, "", "1", id+"x", "xxxxxxxx-d2de-4546-b106-880a5018460d", "{"+id+"}", "urn:uuid:"+id, strings.ReplaceAll(id, "-", ""), id+", "+id)
	add(ok, "X-Fapi-Auth-Date", "Tue, 11 Sep 2012 19:43:31 GMT", "Sun, 01 Jan 2023 00:00:00 UTC")
	add(bad, "X-Fapi-Auth-Date", "", "2012-09-11T19:43:31Z", "Tue, 11 Sep 2012 19:43:31 +0000", "Tue, 11 sep 2012 19:43:31 GMT",
		"Tue, 1 Sep 2012 19:43:31 GMT", "Tue, 11 Sep 2012 19:43:31 GMT x")
	add(ok, "X-Fapi-Customer-Ip-Address", "203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7")
	add(bad, "X-Fapi-Customer-Ip-Address", "", "localhost", "203.0.113", "203.0.113.7, 203.0.113.8", "203.0.113.7:80", "fe80::1%eth0", "[2001:db8::1]", "0x7f.1")
	add(ok, "X-Customer-User-Agent", "", "Mozilla/5.0", strings.Repeat("x", 4096))
	add(bad, "X-Customer-User-Agent", strings.Repeat("x", 4097))
	add(ok, "Accept", "", "application/json", "*/*", "application/*", "text/html, application/json;q=0.1", "Application/JSON; charset=utf-8", "application/json;q=1, */*;q=0")
	add(no, "Accept", "text/html", "application/xml", "*/*;q=0", "application/json;q=0, */*", "application/*;q=0, text/*", "application/jsonx", "text/html, image/*")
	for _, name := range []string{interaction, "X-Fapi-Auth-Date", "X-Fapi-Customer-Ip-Address", "X-Customer-User-Agent"} {
		list = append(list, fapiCase{name: name + " twice", header: http.Header{name: {id, id}}, status: bad})
	}
	return append(list, fapiCase{name: "no fields", status: ok})
}

func fapiAnswers(t *testing.T, tpp clientKey, url string) []fapiCase {
	expired := jwt(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(-time.Hour).Unix()))
	return []fapiCase{
		{name: "method", method: http.MethodPut, status: http.StatusMethodNotAllowed},
		{name: "content type", header: fields("Content-Type", inJSON), status: http.StatusUnsupportedMediaType},
		{name: "large", body: good + "&x=" + strings.Repeat("x", 64<<10), status: http.StatusRequestEntityTooLarge},
		{name: "no token", body: "ASSERTION", status: http.StatusBadRequest},
		{name: "two tokens", body: good + "&token=TOKEN", status: http.StatusBadRequest},
		{name: "no client", body: "token=TOKEN", status: http.StatusUnauthorized},
		{name: "wrong client", body: "token=TOKEN&" + asserted(newKey(t, "ES256").assertion(t, "tpp", url)), status: http.StatusUnauthorized},
		{name: "unknown client", body: "token=TOKEN&" + asserted(tpp.assertion(t, "nobody", url)), status: http.StatusUnauthorized},
		{name: "Basic", header: fields("Authorization", basic("backend", "backend-secret")), body: "token=TOKEN", status: http.StatusUnauthorized},
		{name: "secret in the body", body: "token=TOKEN&client_id=backend&client_secret=backend-secret", status: http.StatusUnauthorized},
		{name: "client without keys for now", body: "token=TOKEN&" + asserted(tpp.assertion(t, "unreachable", url)), status: http.StatusServiceUnavailable},
		{name: "expired token", body: "token=" + expired + "&ASSERTION", status: http.StatusNotFound},
		{name: "ID token", body: "token=" + jwt(`{"iss":"a","aud":"b","at_hash":"c"}`) + "&ASSERTION", status: http.StatusBadRequest},
	}
}
