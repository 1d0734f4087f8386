package endpoint

import (
	"crypto/subtle"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/strictjson"
)

// jsonManner is that of APIs which take a JSON or form body, with credentials in
// the body or in Basic, or in both if they are the same, and answer a body that
// is not valid with a message per field.
type jsonManner struct{}

func (jsonManner) begin(http.Header, *http.Request) *refusal { return nil }

func (jsonManner) read(r *http.Request, b []byte, err error) (parameters, *refusal) {
	if mediaType(r) == formType {
		return readForm(r, b, err)
	}
	if refused := readable(r, err, "application/json"); refused != nil {
		return nil, refused
	}
	return parseJSON(b)
}

// credentials are those of the body or of Basic; of both if they are the same.
// Basic without an id and a secret is what some SDKs send when they were given
// neither.
func (jsonManner) credentials(authorization []string, form parameters) (credentials, *refusal) {
	if len(authorization) != 1 {
		return present(authorization, form)
	}
	value, basic := cutBasic(authorization[0])
	switch {
	case !basic:
	case value == "Og==" || value == "Og": // ":"
		return present(nil, form)
	case form["client_secret"] != "":
		given, refused := presentBasic(value, form["client_id"])
		if refused == nil && given.has(form["client_secret"]) {
			form = maps.Clone(form)
			delete(form, "client_secret")
		}
	}
	return present(authorization, form)
}

func (c credentials) has(secret string) bool {
	return slices.ContainsFunc(c.readings, func(r reading) bool {
		return subtle.ConstantTimeCompare([]byte(r.secret), []byte(secret)) == 1
	})
}

// parseJSON reads an object of strings strictly: what parsers could read in two
// ways is refused.
func parseJSON(b []byte) (parameters, *refusal) {
	p, seen, wrong := parameters{}, map[string]bool{}, map[string]string{}
	err := strictjson.Each(b, func(name string, value json.RawMessage) {
		text, isText := strictjson.Text(value)
		switch folded := strings.ToLower(name); {
		case seen[name]:
			wrong[name] = "stands twice"
		case known[folded] && name != folded:
			wrong[name] = "must be written " + folded
		case known[name] && !isText:
			wrong[name] = "must be a string"
		case known[name]:
			p[name] = text
		}
		seen[name] = true
	})
	if err != nil {
		wrong[wholeBody] = err.Error()
	}
	if len(wrong) > 0 {
		return nil, invalidFields(wrong)
	}
	return p, nil
}

func (jsonManner) unknown() *refusal { return nil }

func (jsonManner) unanswered() int { return http.StatusGatewayTimeout }

func (jsonManner) succeed(w http.ResponseWriter) int {
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent
}

func (jsonManner) fail(w http.ResponseWriter, f *refusal) int {
	if f.fields == nil {
		return formManner{}.fail(w, f)
	}
	answer(w, http.StatusUnprocessableEntity, f.fields)
	return http.StatusUnprocessableEntity
}
