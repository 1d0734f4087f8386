package token

import (
	"slices"
	"strings"
	"testing"
)

// sessionsIn are the sessions that a JWS with this payload says it belongs to.
func sessionsIn(payload string) ([]Session, bool) {
	return Sessions(encode(`{"alg":"ES256"}`)+"."+encode(payload)+".c2ln", []string{"sid", "session_state"})
}

func TestSessions(t *testing.T) {
	is := func(list ...Session) []Session { return list }
	for payload, want := range map[string][]Session{
		`{"iss":"i","sid":"s"}`:                     is(Session{"i", "s"}),
		`{"sid":"s","x":{"sid":"t"},"iss":"i"}`:     is(Session{"i", "s"}),
		`{"iss":"i","session_state":"s"}`:           is(Session{"i", "s"}),
		`{"iss":"i","session_state":"s","sid":"t"}`: is(Session{"i", "t"}, Session{"i", "s"}),
		`{"iss":"i","sid":"s","sid":"t"}`:           is(Session{"i", "s"}, Session{"i", "t"}),
		`{"iss":"i","sid":"s","iss":"j","SID":"t"}`: is(Session{"i", "s"}, Session{"j", "s"}, Session{"i", "t"}, Session{"j", "t"}),
		`{"ISS":"i","\u017fid":"s"}`:                is(Session{"i", "s"}),
		`{"\u0069ss":"\u0069","s\u0069d":"\u0073"}`: is(Session{"i", "s"}),
		`{"iss":"i","sid":42}`:                      is(Session{"i", "42"}),
		`{"iss":1,"sid":1.50}`:                      is(Session{"1", "1.50"}),
		`{"iss":"i","sid":""}`:                      is(Session{"i", ""}),
		` {"iss" : "i" , "sid" : "s"} and more`:     is(Session{"i", "s"}),
		"\ufeff" + `{"iss":"i","sid":"s"}`:          is(Session{"i", "s"}),
		`{"Iss":"i","sId":"s"}`:                     is(Session{"i", "s"}),
		`{"a":"\"","iss":"i","b":"\\","sid":"s\""}`: is(Session{"i", "s\""}),
		`{"iss":"i"}`:                               nil,
		`{"sid":"s"}`:                               nil,
		`{"iss":"i","sid":null}`:                    nil,
		`{"iss":"i","sid":["s"]}`:                   nil,
		`{"iss":["i"],"sid":"s"}`:                   nil,
		`{"iss":true,"sid":{"s":1}}`:                nil,
		`["iss","i","sid","s"]`:                     nil,
		`"iss"`:                                     nil,
		`{"iss":"i","sid":"s"`:                      nil,
		``:                                          nil,
		"\x00":                                      nil,
		`{"iss":"i",` + strings.Repeat(`"sid":"s",`, 16) + `"a":1}`: slices.Repeat(is(Session{"i", "s"}), 16),
	} {
		if got, ok := sessionsIn(payload); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %t", payload, got, ok)
		}
	}
	for _, payload := range []string{
		`{"iss":"i",` + strings.Repeat(`"sid":"s",`, 17) + `"a":1}`,
		`{` + strings.Repeat(`"iss":"s",`, 5) + strings.Repeat(`"sid":"s",`, 5) + `"a":1}`,
		`{"iss":"i","sid":"s","n":NaN}`,
		`{"n":-Infinity,"iss":"i","sid":"s"}`,
	} {
		if got, ok := sessionsIn(payload); ok {
			t.Errorf("%s: %v", payload, got)
		}
	}
}

// The session of a token is found in whichever writing it is presented, unless
// the gate refuses that writing anyway.
func TestSessionsOfDisguises(t *testing.T) {
	header, payload, signature := encode(`{"alg":"RS256"}`), encode(`{"sid":"??>>~~","iss":"i"}`+"\n"), encode("signature")
	want := Session{"i", "??>>~~"}
	var disguises []string
	for _, payload := range writings(payload) {
		disguises = append(disguises, header+"."+payload+"."+signature)
	}
	for _, header := range writings(header) {
		disguises = append(disguises, header+"."+payload+"."+signature)
	}
	compact := header + "." + payload + "." + signature
	disguises = append(disguises, compact+".x.y", header+"."+payload+".", "{"+compact, "\u00a0"+compact)
	disguises = append(disguises, insertions(compact)...)
	for _, serialized := range jsonJWS(header, payload, signature) {
		disguises = append(disguises, serialized)
		disguises = append(disguises, insertions(serialized)...)
	}
	disguises = append(disguises, `{"payload":"`+payload+`","header":{"alg":"RS256"},"signature":"x"}`)
	for _, presented := range disguises {
		if id := Identify(presented); id.Ambiguous || id.Form != JWS {
			continue
		}
		if list, ok := Sessions(presented, []string{"sid"}); ok && !slices.Contains(list, want) {
			t.Errorf("%q: %v", presented, list)
		}
	}
}

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
