package token

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSignatures bounds how many signatures of a general JWS are looked at. A
// token has one; more than a handful is an attempt at something.
const maxSignatures = 16

// jsonText returns what may be a JSON serialization without any white space.
// go-jose takes it so: without that of Unicode too, and even within names.
func jsonText(s string) (string, bool) {
	if s == "" || s[0] != '{' && s[0] < utf8.RuneSelf {
		return "", false
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	return s, strings.HasPrefix(s, "{")
}

// identifyJSON reads a JWS or JWE in JSON (RFC 7515 §7.2, RFC 7516 §7.2),
// general or flattened. It answers false for what is neither. The identity is
// ambiguous where parsers disagree: about a name that stands twice, and about
// an object that is both.
func identifyJSON(s string) (Identity, bool) {
	token, unique, ok := object([]byte(s))
	if !ok {
		return Identity{}, false
	}
	value, signed := token["payload"]
	if ciphertext, ok := token["ciphertext"]; ok {
		id := identifyJWE(text(token["protected"]), text(token["iv"]), text(ciphertext), text(token["tag"]))
		id.Ambiguous = id.Ambiguous || !unique || signed
		return id, true
	}
	if !signed {
		return Identity{}, false
	}
	header, payload := text(token["protected"]), text(value)
	id := Identity{
		Form:      JWS,
		Key:       key(signingInput(header, payload)),
		Ambiguous: !unique || behindPadding(header, payload),
	}
	var signatures []json.RawMessage
	if raw, ok := token["signatures"]; ok && json.Unmarshal(raw, &signatures) != nil || len(signatures) > maxSignatures {
		id.Ambiguous = true
		return id, true
	}
	for _, raw := range signatures {
		signature, unique, ok := object(raw)
		header := text(signature["protected"])
		// jwx up to version 2 takes a header that is not encoded, too.
		if !ok || !unique || strings.HasPrefix(header, "{") || behindPadding(header) {
			id.Ambiguous = true
		}
		id.Others = append(id.Others, key(signingInput(header, payload)))
	}
	return id, true
}

// object reads a JSON object, and says whether each of its names stands once.
// Those that matter count in any case, as they do to jwx.
func object(b []byte) (values map[string]json.RawMessage, unique, ok bool) {
	list, ok := members(b)
	values = make(map[string]json.RawMessage, len(list))
	for _, m := range list {
		values[spelling(m.name)] = m.value
	}
	return values, len(values) == len(list), ok
}

func spelling(name string) string {
	for _, known := range [...]string{"payload", "protected", "signatures", "ciphertext", "iv", "tag"} {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}

func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}
