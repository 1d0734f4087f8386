package token

import "strings"

// Compact is a token in the writing in which one who is to judge it should see
// it: a JWS in compact serialization as a strict encoder would have written it,
// and anything else without the white space around it. A judge might not know a
// writing that some API accepts, and take the token for none.
//
// It answers false for a token in JSON serialization (RFC 7515 §7.2, RFC 7516
// §7.2), which may be several, and for one whose signature goes on behind padding.
func Compact(s string) (compact string, ok bool) {
	s = trim(s)
	if object, ok := jsonText(s); ok {
		if _, ok := identifyJSON(object); ok {
			return "", false
		}
	}
	if Identify(s).Form != JWS {
		return s, true
	}
	parts := strings.SplitN(s, ".", 4)
	if behindPadding(parts...) {
		return "", false
	}
	for i := range parts {
		parts[i] = canonical(parts[i])
	}
	return strings.Join(parts[:3], "."), true
}
