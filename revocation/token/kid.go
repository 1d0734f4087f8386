package token

import (
	"encoding/json"
	"slices"
	"strings"
)

// parts are the encoded payload of a JWS in any serialization, and the keys (kid)
// that its headers name.
func parts(s string, withKeys bool) (payload string, kids []string) {
	if serialized, ok := jsonText(s); ok {
		if token, _, ok := object([]byte(serialized)); ok && token["payload"] != nil {
			if withKeys {
				kids = serializedKids([]byte(serialized))
			}
			return text(token["payload"]), kids
		}
	}
	header, rest, _ := strings.Cut(s, ".")
	payload, _, _ = strings.Cut(rest, ".")
	if withKeys {
		kids = headerKids(header)
	}
	return payload, kids
}

// serializedKids are those of every header of a JWS in JSON, protected or not.
func serializedKids(b []byte) (kids []string) {
	list, _ := members(b)
	for _, m := range list {
		kids = append(kids, kidsOf(m)...)
		var signatures []json.RawMessage
		if strings.EqualFold(m.name, "signatures") && json.Unmarshal(m.value, &signatures) == nil {
			for _, one := range signatures[:min(len(signatures), maxSignatures)] {
				list, _ := members(one)
				for _, m := range list {
					kids = append(kids, kidsOf(m)...)
				}
			}
		}
	}
	slices.Sort(kids)
	return slices.Compact(kids)
}

// kidsOf are those of a header, if that is what a member of a JWS in JSON is.
func kidsOf(m member) []string {
	switch {
	case strings.EqualFold(m.name, "protected"):
		return headerKids(text(m.value))
	case strings.EqualFold(m.name, "header"):
		return kidsIn(m.value)
	}
	return nil
}

// kidsIn are those of a header.
func kidsIn(header []byte) (kids []string) {
	list, _ := members(header)
	for _, m := range list {
		if kid, ok := literal(m.value); ok && strings.EqualFold(m.name, "kid") && !slices.Contains(kids, kid) {
			kids = append(kids, kid)
		}
	}
	return kids
}
