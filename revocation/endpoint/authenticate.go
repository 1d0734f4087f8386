package endpoint

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Attempt is how a client tried to authenticate.
type Attempt string

// The attempts. With AttemptNone it said at most who it is, or has shown a
// certificate.
const (
	AttemptBasic     Attempt = "basic"
	AttemptPost      Attempt = "post"
	AttemptAssertion Attempt = "assertion"
	AttemptNone      Attempt = "none"
)

// attempted is the attempt in a request, whether it can be read or not.
func attempted(authorization []string, form parameters) Attempt {
	if form["client_assertion"] != "" || form["client_assertion_type"] != "" {
		return AttemptAssertion
	}
	for _, value := range authorization {
		if _, basic := cutBasic(value); basic {
			return AttemptBasic
		}
	}
	if form["client_secret"] != "" {
		return AttemptPost
	}
	return AttemptNone
}

// credentials is what a request says about its client.
type credentials struct {
	method Method
	// readings are what id and secret may be; more than one where Basic
	// credentials can be read in two ways.
	readings []reading
	// assertion is a JWT that says who the client is, and empty for every method
	// but two. The readings are then what it says, and client_id.
	assertion string
}

type reading struct{ id, secret string }

// present finds the credentials of a request (RFC 6749 §2.3). A parameter
// without a value is as good as omitted (RFC 6749 §3.2).
func present(authorization []string, form parameters) (credentials, *refusal) {
	if len(authorization) > 1 {
		return credentials{}, invalidRequest("more than one Authorization header field")
	}
	id, secret := form["client_id"], form["client_secret"]
	assertion := form["client_assertion"] != "" || form["client_assertion_type"] != ""
	basic, tried := "", false
	if len(authorization) == 1 {
		basic, tried = cutBasic(authorization[0])
	}
	switch {
	case tried && (secret != "" || assertion), secret != "" && assertion:
		return credentials{}, invalidRequest("more than one client authentication method")
	case assertion:
		return presentAssertion(form["client_assertion_type"], form["client_assertion"], id)
	case tried:
		return presentBasic(basic, id)
	case id == "":
		return credentials{}, invalidClient(false)
	case secret == "":
		return credentials{method: None, readings: []reading{{id: id}}}, nil
	}
	return credentials{method: ClientSecretPost, readings: []reading{{id, secret}}}, nil
}

// cutBasic returns what follows the scheme Basic (RFC 7617 §2).
func cutBasic(authorization string) (value string, ok bool) {
	scheme, value, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	return strings.TrimSpace(value), strings.EqualFold(scheme, "Basic")
}

// presentBasic reads Basic credentials as RFC 6749 §2.3.1 has it, form-encoded,
// and also as they stand, which is how most SDKs send them, a few of them with
// the colon encoded, since it separates the two. A client_id beside them must
// name the same client.
func presentBasic(value, formID string) (credentials, *refusal) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(value); err != nil {
			return credentials{}, invalidClient(true)
		}
	}
	id, secret, _ := strings.Cut(string(raw), ":")
	if id == "" {
		return credentials{}, invalidClient(true)
	}
	c := credentials{method: ClientSecretBasic}
	decodedID, idErr := url.QueryUnescape(id)
	decodedSecret, secretErr := url.QueryUnescape(secret)
	if idErr == nil && secretErr == nil {
		c.readings = append(c.readings, reading{decodedID, decodedSecret})
	}
	for _, plain := range []reading{{id, secret}, {colons(id), colons(secret)}} {
		if !slices.Contains(c.readings, plain) {
			c.readings = append(c.readings, plain)
		}
	}
	if formID != "" {
		c.readings = named(c.readings, formID)
		if len(c.readings) == 0 {
			return credentials{}, invalidRequest("client_id is not that of the Authorization header field")
		}
	}
	return c, nil
}

func colons(s string) string { return strings.ReplaceAll(s, "%3A", ":") }

// authenticate returns the client that the credentials prove, or nil. Without any
// but a client_id, the certificate of the connection counts.
func (c *Clients) authenticate(ctx context.Context, given credentials, shown certificate) (*Client, error) {
	client, readings := c.pick(given.readings)
	method := given.method
	if method == None && client != nil && !client.allows(None) {
		return client.certified(ctx, shown)
	}
	if method == ClientSecretBasic && readings[0].secret == "" {
		method = None // how some SDKs send a public client
	}
	if method == None {
		if client == nil || !client.allows(None) {
			return nil, nil
		}
		return client, nil
	}
	secret := c.decoy(readings[0].id)
	if client != nil && client.Secret != nil {
		secret = client.Secret
	}
	if secret == nil {
		return nil, nil
	}
	proved, err := secret.isAny(ctx, readings)
	if err != nil {
		return nil, err
	}
	if !proved || client == nil || client.Secret == nil || !client.allows(method) {
		return nil, nil
	}
	return client, nil
}

// undecided says that it could not be found out now who the client is.
func undecided(err error) *refusal {
	f := unavailable(err)
	f.description = "the client could not be authenticated now; try again"
	return f
}

// pick returns the client that the readings name, and the readings that name
// it. Where two readings name two clients, the one of the RFC counts. An unknown
// client has as many readings as a known one, and so costs as much.
func (c *Clients) pick(readings []reading) (*Client, []reading) {
	id := readings[0].id
	for _, r := range readings {
		if c.byID[r.id] != nil {
			id = r.id
			break
		}
	}
	return c.byID[id], named(readings, id)
}

// named are the readings with an id.
func named(readings []reading, id string) (list []reading) {
	for _, r := range readings {
		if r.id == id {
			list = append(list, r)
		}
	}
	return list
}

// basicChallenge is set where a client tried to authenticate with Basic.
func basicChallenge(h http.Header, realm string) {
	h.Set("WWW-Authenticate", `Basic realm="`+Quoted(realm)+`", charset="UTF-8"`)
}

// Quoted escapes a text for a quoted-string (RFC 9110 §5.6.4).
func Quoted(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }
