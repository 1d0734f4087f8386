package token

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// named are the names of an issuer "i" that has some of its own.
func named(t testing.TB) *Names {
	t.Helper()
	names, err := NewNames(Naming{Issuer: "i", Session: "session_state", ID: "uti", Clients: []string{"app"}}, Naming{Issuer: "k", Session: "kid"})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// fallsUnder are the keys of rules of one kind under which a token falls, sorted.
func fallsUnder(n *Names, presented string, kinds revocation.KindSet) ([]revocation.Key, bool) {
	var keys []revocation.Key
	ok := n.Rules(presented, kinds, func(rule revocation.Rule, _ time.Time) bool {
		keys = append(keys, rule.Key())
		return true
	})
	slices.SortFunc(keys, revocation.Key.Compare)
	return keys, ok
}

func jwtOf(payload string) string {
	return encode(`{"alg":"ES256"}`) + "." + encode(payload) + ".c2ln"
}

func several(name string, n int) string {
	var members strings.Builder
	for i := range n {
		members.WriteString(`"` + name + `":` + strconv.Itoa(i) + ",")
	}
	return members.String()
}

func TestSessions(t *testing.T) {
	is := func(list ...[2]string) (keys []revocation.Key) {
		for _, s := range list {
			keys = append(keys, revocation.SessionKey(s[0], s[1]))
		}
		slices.SortFunc(keys, revocation.Key.Compare)
		return keys
	}
	type s = [2]string
	var sixteen []s
	for i := range 16 {
		sixteen = append(sixteen, s{"i", strconv.Itoa(i)})
	}
	sessions := revocation.KindsOf(revocation.KindSession)
	for payload, want := range map[string][]revocation.Key{
		`{"iss":"i","sid":"s"}`:                                     is(s{"i", "s"}),
		`{"sid":"s","x":{"sid":"t"},"iss":"i"}`:                     is(s{"i", "s"}),
		`{"iss":"i","session_state":"s"}`:                           is(s{"i", "s"}),
		`{"iss":"j","session_state":"s"}`:                           nil,
		`{"iss":"i","session_state":"s","sid":"t"}`:                 is(s{"i", "t"}, s{"i", "s"}),
		`{"iss":"i","session_state":"s","sid":"s"}`:                 is(s{"i", "s"}),
		`{"iss":"i","sid":"s","sid":"t"}`:                           is(s{"i", "s"}, s{"i", "t"}),
		`{"iss":"i","sid":"s","iss":"j","SID":"t"}`:                 is(s{"i", "s"}, s{"j", "s"}, s{"i", "t"}, s{"j", "t"}),
		`{"ISS":"i","\u017fid":"s"}`:                                is(s{"i", "s"}),
		"{\"i\u017fs\":\"i\",\"\u017fid\":\"s\"}":                   is(s{"i", "s"}),
		`{"\u0069ss":"\u0069","s\u0069d":"\u0073"}`:                 is(s{"i", "s"}),
		`{"iss":"i","sid":42}`:                                      is(s{"i", "42"}),
		`{"iss":1,"sid":1.50}`:                                      is(s{"1", "1.50"}),
		`{"iss":"i","sid":-1e+400}`:                                 is(s{"i", "-1e+400"}),
		`{"iss":"i","sid":""}`:                                      is(s{"i", ""}),
		` {"iss" : "i" , "sid" : "s"} and more`:                     is(s{"i", "s"}),
		"\ufeff" + `{"iss":"i","sid":"s"}`:                          is(s{"i", "s"}),
		`{"Iss":"i","sId":"s"}`:                                     is(s{"i", "s"}),
		`{"a":"\"","iss":"i","b":"\\","sid":"s\""}`:                 is(s{"i", "s\""}),
		`{"iss":"https:\/\/i","sid":"a\/b"}`:                        is(s{"https://i", "a/b"}),
		`{"iss":"https:\/\/i","sid":"a\/\u0062"}`:                   is(s{"https://i", "a/b"}),
		`{"iss":"\u00e9","sid":"é"}`:                                is(s{"é", "é"}),
		"{\"iss\":\"i\",\"sid\":\"\xff\"}":                          is(s{"i", "\ufffd"}),
		`{"iss":"i","sid":"\ud800"}`:                                is(s{"i", "\ufffd"}),
		`{"iss":"i"}`:                                               nil,
		`{"sid":"s"}`:                                               nil,
		`{"iss":"","sid":"s"}`:                                      nil,
		`{"iss":"i","sid":null}`:                                    nil,
		`{"iss":"i","sid":["s"]}`:                                   nil,
		`{"iss":["i"],"sid":"s"}`:                                   nil,
		`{"iss":true,"sid":{"s":1}}`:                                nil,
		`["iss","i","sid","s"]`:                                     nil,
		`"iss"`:                                                     nil,
		``:                                                          nil,
		"\x00":                                                      nil,
		`{"iss":"i",` + strings.Repeat(`"sid":"s",`, 99) + `"a":1}`: is(s{"i", "s"}),
		`{"iss":"i",` + several("sid", 16) + `"a":1}`:               is(sixteen...),
	} {
		if got, ok := fallsUnder(named(t), jwtOf(payload), sessions); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %t", payload, got, ok)
		}
	}
	for _, payload := range []string{
		`{"iss":"i",` + several("sid", 33) + `"a":1}`,
		`{"sid":"s",` + several("iss", 33) + `"a":1}`,
		`{` + several("iss", 6) + several("sid", 6) + `"a":1}`,
		`{"iss":"i","sid":"s","n":NaN}`,
		`{"n":-Infinity,"iss":"i","sid":"s"}`,
		`{"iss":"i","sid":"s"`,
		`{iss:'i',sid:'s'}`,
		`/**/{"iss":"i","sid":"s"}`,
		"{\x00\"\x00i\x00s\x00s\x00\"\x00:\x001\x00}\x00",
	} {
		if got, ok := fallsUnder(named(t), jwtOf(payload), sessions); ok {
			t.Errorf("%s: %v", payload, got)
		}
	}
}

// A header can have as many keys as there is room in a request: to compare each with
// all before it would take seconds.
func TestTooManyKeys(t *testing.T) {
	is := func(kids int) (list []string, ok bool) {
		header := encode(`{"alg":"ES256",` + several("kid", kids) + `"a":1}`)
		for range 2 { // the second time it may be known
			headerForm(header)
			list, ok = headerKids(header)
		}
		return list, ok
	}
	if list, ok := is(maxTexts); !ok || len(list) != maxTexts {
		t.Errorf("%d keys: %d, %t", maxTexts, len(list), ok)
	}
	for _, kids := range []int{maxTexts + 1, 50_000} {
		if list, ok := is(kids); ok || list != nil {
			t.Errorf("%d keys: %d, %t", kids, len(list), ok)
		}
	}
}

// The session of a token is found in whichever writing it is presented, unless
// the gate refuses that writing anyway.
func TestSessionsOfDisguises(t *testing.T) {
	header, payload, signature := encode(`{"alg":"RS256"}`), encode(`{"sid":"??>>~~","iss":"i"}`+"\n"), encode("signature")
	want := revocation.SessionKey("i", "??>>~~")
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
		if list, ok := fallsUnder(nil, presented, revocation.AllRules); ok && !slices.Contains(list, want) {
			t.Errorf("%q: %v", presented, list)
		}
	}
}
