package tests

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// jsonCase is a request to an endpoint of profile json, and what comes of it.
type jsonCase struct {
	name   string
	header http.Header // beside Content-Type and Basic of backend
	body   string
	status int
	// wrong are the fields that a 422 has a message for.
	wrong []string
}

const inJSON = "application/json"

// A body in JSON or as a form, with credentials in it or in Basic or both: 204
// where the token is revoked, and a message per field where a body is not valid.
func TestProfileJSON(t *testing.T) {
	up := newUpstream(t)
	c := start(t, siteWith("profile json"), up)
	for _, r := range slices.Concat(jsonBodies(), jsonCredentials(), jsonForms()) {
		t.Run(r.name, func(t *testing.T) {
			token := newToken()
			if r.header.Get("Content-Type") == "" {
				header := fields("Content-Type", inJSON)
				for name, values := range r.header {
					header[name] = values
				}
				r.header = header
			}
			a := c.send(t, up, revocationRequest{token: token, header: r.header, body: r.body})
			if a.status != r.status || a.header.Get("Cache-Control") != "no-store" || strings.Contains(a.body, token) {
				t.Errorf("%d %v %s, want %d", a.status, a.header, a.body, r.status)
			}
			r.check(t, a)
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

func (r jsonCase) check(t *testing.T, a answer) {
	t.Helper()
	if r.status == http.StatusNoContent {
		if a.body != "" {
			t.Errorf("body %q", a.body)
		}
		return
	}
	var body map[string]string
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.header.Get("Content-Type") != inJSON {
		t.Fatalf("%s %q: %v", a.header.Get("Content-Type"), a.body, err)
	}
	if r.status != http.StatusUnprocessableEntity {
		if body["error"] == "" {
			t.Errorf("body %s", a.body)
		}
		return
	}
	if len(body) != len(r.wrong) {
		t.Errorf("body %s, want messages for %v", a.body, r.wrong)
	}
	for _, name := range r.wrong {
		if body[name] == "" {
			t.Errorf("body %s, want a message for %s", a.body, name)
		}
	}
}

func jsonBodies() (list []jsonCase) {
	for _, body := range []string{
		`{"token":"TOKEN"}`,
		` { "token" : "TOKEN" , "token_type_hint" : "refresh_token" } ` + "\n",
		`{"token":"TOKEN","token_type_hint":"nonsense","scope":["a"],"nested":{"token":1}}`,
		`{"tok\u0065n":"TOKEN"}`,
	} {
		list = append(list, jsonCase{name: body, body: body, status: http.StatusNoContent})
	}
	for body, wrong := range map[string][]string{
		`{}`:                {"token"},
		`{"token":""}`:      {"token"},
		`{"token":" \t"}`:   {"token"},
		`{"Token":"TOKEN"}`: {"Token"},
		`{"token":"TOKEN","Token_Type_Hint":"a"}`:             {"Token_Type_Hint"},
		`{"token":"TOKEN","Client_Id":"a"}`:                   {"Client_Id"},
		`{"token":"TOKEN","token":"TOKEN"}`:                   {"token"},
		`{"token":"TOKEN","x":1,"x":2}`:                       {"x"},
		`{"token":"TOKEN","t\u006fken":"other"}`:              {"token"},
		`{"token":null}`:                                      {"token"},
		`{"token":["TOKEN"]}`:                                 {"token"},
		`{"token":{"a":"TOKEN"}}`:                             {"token"},
		`{"token":1,"token_type_hint":true,"client_id":null}`: {"token", "token_type_hint", "client_id"},
		`{"token":"TOKEN\ud800"}`:                             {"token"},
		"{\"token\":\"TOKEN\xff\"}":                           {"token"},
		`{"token":"TOKEN"}{}`:                                 {"body"},
		`{"token":"TOKEN"} x`:                                 {"body"},
		`{"token":"TOKEN"}` + "\x00":                          {"body"},
		`{"token":"TOKEN",}`:                                  {"body"},
		`{"token":"TOKEN"`:                                    {"body"},
		`{'token':'TOKEN'}`:                                   {"body"},
		`{token:"TOKEN"}`:                                     {"body"},
		"\ufeff" + `{"token":"TOKEN"}`:                        {"body"},
		`["TOKEN"]`:                                           {"body"},
		`"TOKEN"`:                                             {"body"},
		`null`:                                                {"body"},
		`token=TOKEN`:                                         {"body"},
		strings.Repeat(`{"a":`, 10000):                        {"body"},
	} {
		name := body[:min(len(body), 40)]
		list = append(list, jsonCase{name: name, body: body, status: http.StatusUnprocessableEntity, wrong: wrong})
	}
	return append(list,
		jsonCase{name: "large", body: `{"token":"TOKEN","x":"` + strings.Repeat("x", 64<<10) + `"}`, status: http.StatusRequestEntityTooLarge},
		jsonCase{name: "compressed", body: `{"token":"TOKEN"}`, header: fields("Content-Encoding", "gzip"), status: http.StatusUnsupportedMediaType},
		jsonCase{name: "text", body: `{"token":"TOKEN"}`, header: fields("Content-Type", "text/json"), status: http.StatusUnsupportedMediaType},
		jsonCase{name: "charset", body: `{"token":"TOKEN"}`, header: fields("Content-Type", "Application/JSON; charset=utf-8"), status: http.StatusNoContent},
	)
}

func jsonCredentials() []jsonCase {
	none := http.Header{"Authorization": nil}
	both := `{"token":"TOKEN","client_id":"backend","client_secret":"backend-secret"}`
	wrong := strings.Replace(both, "backend-secret", "wrong", 1)
	return []jsonCase{
		{name: "in the body", header: none, body: both, status: http.StatusNoContent},
		{name: "in both", body: both, status: http.StatusNoContent},
		{name: "Basic without anything", header: fields("Authorization", basic("", "")), body: both, status: http.StatusNoContent},
		{name: "id in both", body: `{"token":"TOKEN","client_id":"backend"}`, status: http.StatusNoContent},
		{name: "public", header: none, body: `{"token":"TOKEN","client_id":"webapp"}`, status: http.StatusNoContent},
		{name: "wrong in the body", header: none, body: wrong, status: http.StatusUnauthorized},
		{name: "wrong in Basic", header: fields("Authorization", basic("backend", "wrong")), body: `{"token":"TOKEN"}`, status: http.StatusUnauthorized},
		{name: "wrong in both", header: fields("Authorization", basic("backend", "wrong")), body: wrong, status: http.StatusUnauthorized},
		{name: "two secrets", body: wrong, status: http.StatusBadRequest},
		{name: "two ids", body: strings.Replace(both, `"backend"`, `"webapp"`, 1), status: http.StatusBadRequest},
		{name: "none", header: none, body: `{"token":"TOKEN"}`, status: http.StatusUnauthorized},
		{name: "none, and no token", header: none, body: `{}`, status: http.StatusUnauthorized},
		{name: "empty", header: none, body: `{"token":"TOKEN","client_id":"","client_secret":""}`, status: http.StatusUnauthorized},
		{name: "Basic without anything alone", header: fields("Authorization", basic("", "")), body: `{"token":"TOKEN"}`, status: http.StatusUnauthorized},
	}
}

func jsonForms() []jsonCase {
	form := fields("Content-Type", "application/x-www-form-urlencoded")
	return []jsonCase{
		{name: "form", header: form, body: "token=TOKEN", status: http.StatusNoContent},
		{name: "form without token", header: form, body: "x=y", status: http.StatusUnprocessableEntity, wrong: []string{"token"}},
		{name: "form with two tokens", header: form, body: "token=TOKEN&token=TOKEN", status: http.StatusUnprocessableEntity, wrong: []string{"token"}},
		{name: "form with a semicolon", header: form, body: "token=TOKEN;x=y", status: http.StatusUnprocessableEntity, wrong: []string{"body"}},
		{name: "JSON as a form", header: form, body: `{"token":"TOKEN"}`, status: http.StatusUnprocessableEntity, wrong: []string{"token"}},
	}
}

// The other profiles take no JSON.
func TestOtherProfilesTakeNoJSON(t *testing.T) {
	up := newUpstream(t)
	for _, profile := range []string{"rfc7009", "session"} {
		c := start(t, siteWith("profile "+profile), up)
		r := revocationRequest{header: fields("Content-Type", inJSON), body: `{"token":"TOKEN"}`, want: unsupported}
		c.try(t, up, r)
		c.try(t, up, revocationRequest{want: success})
	}
}
