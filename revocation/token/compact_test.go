package token

import "testing"

// A judge sees a token as it was issued, whichever writing is presented.
func TestCompact(t *testing.T) {
	var disguises []string
	for _, header := range writings(jwsHeader) {
		disguises = append(disguises, header+"."+jwsPayload+"."+jwsSignature)
	}
	for _, payload := range writings(jwsPayload) {
		disguises = append(disguises, jwsHeader+"."+payload+"."+jwsSignature)
	}
	for _, signature := range writings(jwsSignature) {
		disguises = append(disguises, jwsHeader+"."+jwsPayload+"."+signature)
	}
	disguises = append(disguises, jws+".", jws+".x.y.z")
	disguises = append(disguises, insertions(jws)...)
	for _, presented := range disguises {
		if got, ok := Compact(presented); !ok || got != jws {
			t.Errorf("%q: %q, %t", presented, got, ok)
		}
	}
	for name, presented := range jsonJWS(jwsHeader, jwsPayload, jwsSignature) {
		if got, ok := Compact(presented); ok {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, presented := range []string{jws + "=x", jws + "==" + jwsSignature} {
		if got, ok := Compact(presented); ok {
			t.Errorf("%s: %q", presented, got)
		}
	}
	for presented, want := range map[string]string{
		" 17|alpha\n": "17|alpha", "a.b.c": "a.b.c", `{"a":1}`: `{"a":1}`, " " + jwe: jwe, "": "", "{": "{",
		jwsHeader + "." + jwsPayload: jwsHeader + "." + jwsPayload,
	} {
		if got, ok := Compact(presented); !ok || got != want {
			t.Errorf("%q: %q, %t", presented, got, ok)
		}
	}
}
