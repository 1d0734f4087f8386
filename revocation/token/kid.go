package token

import (
	"encoding/json"
	"slices"
	"strings"
)

// parts are the encoded payload of a JWS in any serialization and, if they are
// asked for, the keys (kid) that its headers name. It answers false where readers
// could find other keys.
func parts(s string, withKeys bool) (payload string, kids []string, ok bool) {
	if serialized, ok := jsonText(s); ok {
		if token, _, ok := object([]byte(serialized)); ok && token["payload"] != nil {
			if withKeys {
				kids, ok = serializedKids([]byte(serialized))
			}
			return text(token["payload"]), kids, ok
		}
	}
	header, rest, _ := strings.Cut(s, ".")
	payload, _, _ = strings.Cut(rest, ".")
	if ok = true; withKeys {
		kids, ok = headerKids(header)
	}
	return payload, kids, ok
}

// serializedKids are those of every header of a JWS in JSON, protected or not.
func serializedKids(b []byte) (kids []string, ok bool) {
	list, ok := members(b)
	for _, m := range list {
		var signatures []json.RawMessage
		if strings.EqualFold(m.name, "signatures") && json.Unmarshal(m.value, &signatures) == nil {
			for _, one := range signatures[:min(len(signatures), maxSignatures)] {
				more, _ := members(one)
				list = append(list, more...)
			}
		}
	}
	for _, m := range list {
		var more []string
		known := true
		switch {
		case strings.EqualFold(m.name, "protected") && text(m.value) != "":
			more, known = headerKids(text(m.value))
		case strings.EqualFold(m.name, "header"):
			more, known = kidsIn(m.value)
		}
		kids, ok = append(kids, more...), ok && (known || string(m.value) == "null")
	}
	slices.Sort(kids)
	return slices.Compact(kids), ok
}

// kidsIn are those of a header. It answers false for what is no header, and where
// there are too many.
func kidsIn(header []byte) (kids []string, ok bool) {
	list, ok := members(header)
	for _, m := range list {
		if !strings.EqualFold(m.name, "kid") {
			continue
		}
		if kid, is := literal(m.value); is && !slices.Contains(kids, kid) {
			if kids = append(kids, kid); len(kids) > maxTexts {
				return nil, false
			}
		}
	}
	return kids, ok
}
