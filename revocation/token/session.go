package token

import (
	"bytes"
	"strings"
)

// Session is what a session is known by: its issuer, and its name there.
type Session struct{ Issuer, Name string }

// maxSessions bounds how many sessions a token may say that it belongs to. It is
// one; more than a handful is an attempt at something.
const maxSessions = 16

// Sessions are those that a JWS says it belongs to, by its claim iss and the
// claims of the given names: every one that some reader could find there,
// whichever of several claims with one name it takes, in any case. Nothing in it
// has been verified. It is false where readers could find sessions that are not
// in the list.
func Sessions(s string, names []string) (list []Session, ok bool) {
	raw := bytes.TrimPrefix(decode(payloadOf(trim(s))), []byte("\ufeff"))
	claims, ok := scanMembers(raw, "iss", names)
	if !ok {
		claims, ok = members(raw)
	}
	if !ok {
		// Python knows more numbers than JSON has.
		return nil, !bytes.Contains(raw, []byte("NaN")) && !bytes.Contains(raw, []byte("Infinity"))
	}
	issuers := texts(claims, "iss")
	for _, name := range names {
		for _, session := range texts(claims, name) {
			for _, issuer := range issuers {
				if len(list) == maxSessions {
					return nil, false
				}
				list = append(list, Session{Issuer: issuer, Name: session})
			}
		}
	}
	return list, true
}

// payloadOf is the encoded payload of a JWS in any serialization.
func payloadOf(s string) string {
	if serialized, ok := jsonText(s); ok {
		if token, _, ok := object([]byte(serialized)); ok && token["payload"] != nil {
			return text(token["payload"])
		}
	}
	_, rest, _ := strings.Cut(s, ".")
	payload, _, _ := strings.Cut(rest, ".")
	return payload
}

// texts are those of all members with a name, in any case.
func texts(claims []member, name string) (list []string) {
	for _, m := range claims {
		if strings.EqualFold(m.name, name) {
			if s, ok := literal(m.value); ok {
				list = append(list, s)
			}
		}
	}
	return list
}
