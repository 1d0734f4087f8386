package endpoint

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// credentials is what a request says about its client.
type credentials struct {
	method Method
	// readings are what id and secret may be; more than one where Basic
	// credentials can be read in two ways.
	readings []reading
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
		return credentials{}, invalidClient(false)
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
// and also as they stand, which is how most SDKs send them. A client_id beside
// them must name the same client.
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
	if plain := (reading{id, secret}); len(c.readings) == 0 || c.readings[0] != plain {
		c.readings = append(c.readings, plain)
	}
	if formID != "" {
		named := false
		for _, reading := range c.readings {
			named = named || reading.id == formID
		}
		if !named {
			return credentials{}, invalidRequest("client_id is not that of the Authorization header field")
		}
	}
	return c, nil
}

// authenticate returns the client that the credentials prove, or nil.
func (c *Clients) authenticate(ctx context.Context, given credentials) (*Client, error) {
	client, readings := c.pick(given.readings)
	method := given.method
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
	proved := false
	for _, reading := range readings {
		right, err := secret.is(ctx, reading.secret)
		if err != nil {
			return nil, err
		}
		proved = proved || right
	}
	if !proved || client == nil || client.Secret == nil || !client.allows(method) {
		return nil, nil
	}
	return client, nil
}

// pick returns the client that the readings name, and the readings that name
// it. Where two readings name two clients, the one of the RFC counts.
func (c *Clients) pick(readings []reading) (*Client, []reading) {
	for _, first := range readings {
		client := c.byID[first.id]
		if client == nil {
			continue
		}
		var same []reading
		for _, r := range readings {
			if r.id == first.id && (len(same) == 0 || same[0].secret != r.secret) {
				same = append(same, r)
			}
		}
		return client, same
	}
	return nil, readings[:1]
}

// basicChallenge is set where a client tried to authenticate with Basic.
func basicChallenge(h http.Header, realm string) {
	h.Set("WWW-Authenticate", `Basic realm="`+quoted(realm)+`", charset="UTF-8"`)
}

// quoted escapes a text for a quoted-string (RFC 9110 §5.6.4).
func quoted(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }
