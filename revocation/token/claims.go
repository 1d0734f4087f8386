package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

var maxSeconds = float64(revocation.MaxExpires.Unix())

// Claims is what the endpoint reads from a token that it is asked to revoke.
// Nothing in it has been verified.
type Claims struct {
	header  map[string]json.RawMessage
	payload []member
}

type member struct {
	name  string
	value json.RawMessage
}

// ReadClaims reads the claims of a JWS. It answers false for any other token,
// and for one whose payload is not a JSON object.
func ReadClaims(s string) (Claims, bool) {
	header, payload, ok := signed(trim(s))
	if !ok {
		return Claims{}, false
	}
	if form, _ := headerForm(header); form == Opaque {
		return Claims{}, false
	}
	var c Claims
	if json.Unmarshal(decode(header), &c.header) != nil {
		return Claims{}, false
	}
	if c.payload, ok = members(decode(payload)); !ok {
		return Claims{}, false
	}
	return c, true
}

// signed returns the encoded header and payload of what may be a JWS, in
// compact or JSON serialization; of several headers the first.
func signed(s string) (header, payload string, ok bool) {
	serialized, ok := jsonText(s)
	if !ok {
		parts := strings.SplitN(s, ".", 4)
		if len(parts) < 3 {
			return "", "", false
		}
		return parts[0], parts[1], true
	}
	token, _, ok := object([]byte(serialized))
	if !ok {
		return "", "", false
	}
	if protected, ok := token["protected"]; ok {
		return text(protected), text(token["payload"]), true
	}
	var signatures []struct{ Protected string }
	if json.Unmarshal(token["signatures"], &signatures) != nil || len(signatures) == 0 {
		return "", "", false
	}
	return signatures[0].Protected, text(token["payload"]), true
}

// members lists the members of a JSON object, duplicates included: parsers
// disagree about which of them counts.
func members(object []byte) ([]member, bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	var list []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, false
		}
		list = append(list, member{name: name.(string), value: value})
	}
	_, err := d.Token()
	return list, err == nil
}

// Expires is the latest end that any reader of the token could take from its
// exp claim (RFC 7519 §4.1.4), however often, in whichever case and type it
// stands there. It answers false where some reader would see no end: then the
// token may live longer, and never shorter, than the time returned.
func (c Claims) Expires() (latest time.Time, ok bool) {
	everyReader := true
	for _, m := range c.payload {
		if !strings.EqualFold(m.name, "exp") {
			continue
		}
		ok = ok || m.name == "exp"
		text := string(m.value)
		if json.Unmarshal(m.value, &text) == nil {
			everyReader = false // a number in a string: some would read it, some not
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if math.IsNaN(seconds) || err != nil && !errors.Is(err, strconv.ErrRange) {
			everyReader = false
			continue
		}
		if seconds <= 0 { // "no end" to golang-jwt, which has no other way to say it
			everyReader = false
			continue
		}
		end := time.Unix(int64(math.Ceil(min(seconds, maxSeconds))), 0)
		if end.After(latest) {
			latest = end
		}
	}
	return latest, ok && everyReader
}

// text is a member of the payload that is a string.
func (c Claims) text(name string) string {
	var s string
	for _, m := range c.payload {
		if m.name == name && json.Unmarshal(m.value, &s) != nil {
			return ""
		}
	}
	return s
}

// Texts are the texts that a claim of this name has: more than one where the name
// stands more than once. A number's text is how it is written.
func (c Claims) Texts(name string) (list []string) {
	for _, m := range c.payload {
		if m.name == name {
			if s, ok := literal(m.value); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// Audiences are the values of aud, which is one or a list (RFC 7519 §4.1.3).
func (c Claims) Audiences() (list []string) {
	for _, m := range c.payload {
		var several []string
		switch one, ok := literal(m.value); {
		case m.name != "aud":
		case ok:
			list = append(list, one)
		case json.Unmarshal(m.value, &several) == nil:
			list = append(list, several...)
		}
	}
	return list
}

// Has says whether there is a claim of this name that is not null.
func (c Claims) Has(name string) bool {
	return slices.ContainsFunc(c.payload, func(m member) bool { return m.name == name && string(m.value) != "null" })
}

// Symmetric says whether the token is signed with a secret (RFC 7518 §3.2).
func (c Claims) Symmetric() bool {
	return strings.HasPrefix(text(c.header["alg"]), "HS")
}

// Unique says whether each claim stands once, so that there is one way to read it.
func (c Claims) Unique() bool {
	seen := make(map[string]bool, len(c.payload))
	for _, m := range c.payload {
		seen[m.name] = true
	}
	return len(seen) == len(c.payload)
}

// literal is the text of a JSON string or number.
func literal(value json.RawMessage) (text string, ok bool) {
	if plain, next := plainString(value, 0); next == len(value) {
		return string(plain), true
	}
	if json.Unmarshal(value, &text) == nil && string(value) != "null" {
		return text, true
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil && number != "" {
		return number.String(), true
	}
	return "", false
}

// Refresh says whether the token says that it is a refresh token, by its type
// (rt+jwt) or, as Keycloak has it, by the claim typ.
func (c Claims) Refresh() bool { return c.typ() == "rt+jwt" || c.text("typ") == "Refresh" }

func (c Claims) has(names ...string) bool {
	for _, m := range c.payload {
		for _, name := range names {
			if m.name == name {
				return true
			}
		}
	}
	return false
}

// None says that the token has no claims that can be read.
func (c Claims) None() bool { return c.header == nil }

func (c Claims) typ() string {
	var s string
	if json.Unmarshal(c.header["typ"], &s) != nil {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(s), "application/")
}

// NoAccessToken names what the token is, if it surely is not one that an API
// would accept: a "logout token", an "ID token" or a "client assertion".
// Otherwise it returns the empty string. The marks are a logout event (OpenID
// Connect Back-Channel Logout §2.4), a hash of another token (OpenID Connect Core
// §3.1.3.6), what Keycloak and Cognito write, a nonce without any sign of a scope
// or a client, and a client as iss and sub (RFC 7523 §3).
func (c Claims) NoAccessToken(isClient func(id string) bool) string {
	const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	switch c.typ() {
	case "at+jwt":
		return ""
	case "logout+jwt":
		return "logout token"
	}
	var events map[string]json.RawMessage
	for _, m := range c.payload {
		if m.name == "events" && json.Unmarshal(m.value, &events) == nil && events[logoutEvent] != nil {
			return "logout token"
		}
	}
	switch {
	case c.text("typ") == "Logout":
		return "logout token"
	case c.has("at_hash", "c_hash", "s_hash"), c.text("typ") == "ID", c.text("token_use") == "id",
		c.has("nonce") && c.has("aud") && !c.hasAccess():
		return "ID token"
	case c.has("aud") && c.text("iss") == c.text("sub") && isClient(c.text("iss")):
		return "client assertion"
	}
	return ""
}

func (c Claims) hasAccess() bool { return c.has("scope", "scp", "client_id", "cid", "jti") }

// ForClient says whether the token is meant for the client that it was issued to,
// as ID tokens are (OpenID Connect Core §2), and without any sign of a scope, a
// role or another client. Of a token that nobody has verified, that says too
// little.
func (c Claims) ForClient(isClient func(id string) bool) bool {
	meant := c.Audiences()
	return c.typ() != "at+jwt" && !c.hasAccess() && !c.has("appid", "roles") &&
		slices.ContainsFunc(meant, isClient) && (!c.Has("azp") || slices.Contains(meant, c.text("azp")))
}
