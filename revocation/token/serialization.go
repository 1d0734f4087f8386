package token

import "encoding/json"

// maxSignatures bounds how many signatures of a general JWS are looked at. A
// token has one; more than a handful is an attempt at something.
const maxSignatures = 16

// identifyJSON reads a JWS or JWE in JSON (RFC 7515 §7.2, RFC 7516 §7.2),
// general or flattened. It answers false for what is neither. Names count as
// they are spelled, as the RFC says; a name that stands twice, of which parsers
// take one or the other, makes the identity ambiguous.
func identifyJSON(s string) (Identity, bool) {
	token, unique, ok := object([]byte(s))
	if !ok {
		return Identity{}, false
	}
	if ciphertext, ok := token["ciphertext"]; ok {
		id := identifyJWE(text(token["protected"]), text(token["iv"]), text(ciphertext), text(token["tag"]))
		id.Ambiguous = !unique
		return id, true
	}
	value, ok := token["payload"]
	if !ok {
		return Identity{}, false
	}
	payload := text(value)
	id := Identity{
		Form:      JWS,
		Key:       key(signingInput(text(token["protected"]), payload)),
		Ambiguous: !unique,
	}
	var signatures []json.RawMessage
	if raw, ok := token["signatures"]; ok && json.Unmarshal(raw, &signatures) != nil || len(signatures) > maxSignatures {
		id.Ambiguous = true
		return id, true
	}
	for _, raw := range signatures {
		signature, unique, ok := object(raw)
		if !ok || !unique {
			id.Ambiguous = true
		}
		id.Others = append(id.Others, key(signingInput(text(signature["protected"]), payload)))
	}
	return id, true
}

// object reads a JSON object, and says whether each of its names stands once.
func object(b []byte) (values map[string]json.RawMessage, unique, ok bool) {
	list, ok := members(b)
	values = make(map[string]json.RawMessage, len(list))
	for _, m := range list {
		values[m.name] = m.value
	}
	return values, len(values) == len(list), ok
}

func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}
