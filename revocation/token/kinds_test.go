package token

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// said are the rules under which a token falls, as texts: kind, issuer, value.
func said(t *testing.T, n *Names, presented string, kinds revocation.KindSet) (list []string) {
	t.Helper()
	ok := n.Rules(presented, kinds, func(r revocation.Rule, _ time.Time) bool {
		list = append(list, strings.Clone(fmt.Sprintf("%s %s %s", r.Kind, r.Issuer, r.Value)))
		return true
	})
	if !ok {
		return []string{"unclear"}
	}
	slices.Sort(list)
	return list
}

func TestRulesOfEveryKind(t *testing.T) {
	n := named(t)
	payload := `{"iss":"%s","sub":"alice","jti":"j1","uti":"u1","sid":"s1","session_state":"s2",` +
		`"client_id":"c1","azp":"c2","cid":"c3","appid":"c4","app":"c5","aud":"x","kid":"k1"}`
	compact := func(issuer string) string {
		return encode(`{"alg":"ES256","kid":"2026"}`) + "." + encode(fmt.Sprintf(payload, issuer)) + ".c2ln"
	}
	for _, test := range []struct {
		issuer string
		want   []string
	}{
		{"other", []string{
			"client other c1", "client other c2", "client other c3", "client other c4", "issuer other ", "jti other j1",
			"key other 2026", "session other s1", "subject other alice",
		}},
		// Its own names: in place of the usual ones, and beside sid.
		{"i", []string{
			"client i c5", "issuer i ", "jti i u1", "key i 2026", "session i s1", "session i s2", "subject i alice",
		}},
		// What one issuer calls a session is nothing in another's tokens.
		{"k", []string{
			"client k c1", "client k c2", "client k c3", "client k c4", "issuer k ", "jti k j1",
			"key k 2026", "session k k1", "session k s1", "subject k alice",
		}},
	} {
		if got := said(t, n, compact(test.issuer), revocation.AllRules); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q", test.issuer, got)
		}
		for _, kind := range revocation.Kinds() {
			want := slices.DeleteFunc(slices.Clone(test.want), func(s string) bool { return !strings.HasPrefix(s, kind.String()) })
			if got := said(t, n, compact(test.issuer), revocation.KindsOf(kind)); !slices.Equal(got, want) {
				t.Errorf("%s, %s alone: %q", test.issuer, kind, got)
			}
		}
	}
	// Without an issuer, and what is no object, falls under nothing.
	for _, payload := range []string{`{"sub":"a","jti":"b"}`, `{"iss":"","sub":"a"}`, `{"iss":null,"sub":"a"}`, `["a"]`, ``} {
		if got := said(t, nil, jwtOf(payload), revocation.AllRules); got != nil {
			t.Errorf("%s: %q", payload, got)
		}
	}
}

// The text of a number is how it is written.
func TestNumbersAsTexts(t *testing.T) {
	for _, number := range []string{"0", "42", "-1", "1.50", "1e3", "1E+3", "12345678901234567890123456789012345678901234567890", "1e999", "-0.0"} {
		want := []string{"jti i " + number}
		if got := said(t, nil, jwtOf(`{"iss":"i","jti":`+number+`}`), revocation.KindsOf(revocation.KindJTI)); !slices.Equal(got, want) {
			t.Errorf("%s: %q", number, got)
		}
	}
	for _, other := range []string{"true", "null", "[1]", `{"jti":"1"}`} {
		if got := said(t, nil, jwtOf(`{"iss":"i","jti":`+other+`}`), revocation.KindsOf(revocation.KindJTI)); got != nil {
			t.Errorf("%s: %q", other, got)
		}
	}
}

func TestReadingsOfEveryKind(t *testing.T) {
	for payload, want := range map[string]string{
		`{"iss":"i","jti":"a","jti":"b"}`:                         "jti i a, jti i b",
		`{"iss":"i","JTI":"a"}`:                                   "jti i a",
		`{"iss":"i","sub":"a","Sub":"b"}`:                         "subject i a, subject i b",
		`{"iss":"i","\u017fub":"a"}`:                              "subject i a",
		`{"iss":"i","client_id":"a","azp":"a"}`:                   "client i a",
		`{"iss":"i","client_id":"a","azp":"b"}`:                   "client i a, client i b",
		`{"iss":"i","CLIENT_ID":"a","CID":1}`:                     "client i 1, client i a",
		`{"iss":"i","client\u005fid":"\u0061","x":{"sub":"no"}}`:  "client i a",
		`{"iss":"i","sub":"a","iss":"j"}`:                         "subject i a, subject j a",
		`{"iss":"https:\/\/i","sub":"a\/b","x":"\""}`:             "subject https://i a/b",
		`{"iss":"i","sub":"Zo\u00eb"}`:                            "subject i Zoë",
		`{"iss":"i","sub":"Zoë"}`:                                 "subject i Zoë",
		`{"iss":"i","sub":` + strings.Repeat("[", 50) + `"a"`:     "unclear",
		`{"iss":"i",` + several("sub", 32) + `"a":1}`:             "unclear", // with the issuer
		`{"iss":"i","sub":"a","x":{"y":["}"]},"z":"{\"sub\":1}"}`: "subject i a",
	} {
		got := said(t, nil, jwtOf(payload), revocation.AllRules)
		got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "issuer") })
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q", payload, got)
		}
	}
}

func TestKids(t *testing.T) {
	payload := encode(`{"iss":"i"}`)
	long := `{"alg":"ES256","kid":"a","x5c":["` + strings.Repeat("x", 2000) + `"]}`
	for presented, want := range map[string]string{
		encode(`{"alg":"ES256","kid":"a"}`) + "." + payload + ".c2ln":                                                                                                   "a",
		encode(`{"kid":7,"alg":"ES256"}`) + "." + payload + ".c2ln":                                                                                                     "7",
		encode(`{"alg":"ES256","kid":"a","KID":"b"}`) + "." + payload + ".c2ln":                                                                                         "a b",
		encode(`{"alg":"ES256","kid":"a","kid":"a"}`) + "." + payload + ".c2ln":                                                                                         "a",
		encode(`{"alg":"ES256","k\u0069d":"\u0061"}`) + "." + payload + ".c2ln":                                                                                         "a",
		encode(`{"alg":"ES256","jwk":{"kid":"a"}}`) + "." + payload + ".c2ln":                                                                                           "",
		encode(long) + "." + payload + ".c2ln":                                                                                                                          "a",
		"\u00a0" + encode(`{"alg":"ES256","kid":"a"}`) + " ." + payload + ".c2ln":                                                                                       "a",
		`{"payload":"` + payload + `","protected":"` + encode(`{"kid":"a"}`) + `","header":{"kid":"b"},"signature":"x"}`:                                                "a b",
		`{"payload":"` + payload + `","header":{"alg":"ES256","kid":"b"},"signature":"x"}`:                                                                              "b",
		`{"payload":"` + payload + `","protected":"","header":null,"signature":"x"}`:                                                                                    "",
		`{"payload":"` + payload + `","signatures":[{"protected":"` + encode(`{"kid":"a"}`) + `"},{"header":{"Kid":"b"}},{"PROTECTED":"` + encode(`{"kid":3}`) + `"}]}`: "3 a b",
		`{"payload":"` + payload + `","protected":"` + encode(`{"kid":NaN}`) + `","signature":"x"}`:                                                                     "unclear",
		`{"payload":"` + payload + `","protected":"e30","header":"x","signature":"x"}`:                                                                                  "unclear",
	} {
		for range 2 { // once more, from memory
			var got []string
			for _, s := range said(t, nil, presented, revocation.KindsOf(revocation.KindKey)) {
				got = append(got, strings.TrimPrefix(s, "key i "))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %q", presented, got)
			}
		}
	}
}

func TestIssued(t *testing.T) {
	at := func(seconds, nanos int64) time.Time { return time.Unix(seconds, nanos) }
	for claims, want := range map[string]time.Time{
		`"iat":1718000000`:                 at(1718000000, 0),
		`"iat":1718000000.5`:               at(1718000000, 5e8),
		`"iat":1718000000.1234567891`:      at(1718000000, 123456789),
		`"iat":1718000000.123`:             at(1718000000, 123e6),
		`"iat":1.718e9`:                    at(1718000000, 0),
		`"iat":1.7180000005E+9`:            at(1718000000, 5e8),
		`"iat":0`:                          at(0, 0),
		`"iat":-1`:                         at(-1, 0),
		`"iat":-0.5`:                       at(-1, 5e8),
		`"iat":2,"iat":1`:                  at(1, 0),
		`"iat":1,"iat":2`:                  at(1, 0),
		`"iat":5,"IAT":4`:                  at(4, 0),
		`"Iat":4,"iat":5`:                  at(4, 0),
		`"i\u0061t":3`:                     at(3, 0),
		`"iat":253402300799`:               at(253402300799, 0),
		`"x":{"iat":1},"iat":2`:            at(2, 0),
		`"x":1`:                            {},
		`"IAT":4`:                          {}, // some see one, some do not
		`"iat":null`:                       {},
		`"iat":"1718000000"`:               {},
		`"iat":true`:                       {},
		`"iat":[1]`:                        {},
		`"iat":{"iat":1}`:                  {},
		`"iat":1718000000000`:              {}, // in milliseconds
		`"iat":1e300`:                      {},
		`"iat":1e999`:                      {},
		`"iat":-1e300`:                     {},
		`"iat":99999999999999999999999999`: {},
		`"iat":5,"iat":null`:               {},
		`"iat":5,"iat":"5"`:                {},
		`"iat":5,"IAT":"5"`:                {},
		`"iat":"5","iat":5`:                {},
		`"iat":5,"iat":1718000000000`:      {},
		`"\u0130at":5`:                     {},
		`"iat":5,"\u0131at":6`:             at(5, 0), // a letter of its own
		`"iat":1718000000.`:                {},
		`"iat":0000000001`:                 {},
		`"iat":+1`:                         {},
	} {
		var got time.Time
		called := false
		ok := (*Names)(nil).Rules(jwtOf(`{"iss":"i",`+claims+`}`), revocation.AllRules, func(_ revocation.Rule, issued time.Time) bool {
			got, called = issued, true
			return true
		})
		if ok && (!called || !got.Equal(want)) || !ok && !want.IsZero() {
			t.Errorf("%s: %s, %t", claims, got, ok)
		}
	}
}

func TestNewNames(t *testing.T) {
	for name, namings := range map[string][]Naming{
		"no issuer":      {{Session: "sid"}},
		"there twice":    {{Issuer: "i"}, {Issuer: "i"}},
		"an empty claim": {{Issuer: "i", Clients: []string{"a", ""}}},
	} {
		if _, err := NewNames(namings...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// One claim can stand for several things, also for what others are read for.
	n, err := NewNames(Naming{Issuer: "i", Session: "sub", ID: "iat", Clients: []string{"iss", "\u017fub", "SID"}}, Naming{Issuer: "é", ID: "né"})
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string][]string{
		`{"iss":"i","sub":"a","iat":5,"sid":"b"}`: {
			"client i a", "client i b", "client i i", "issuer i ", "jti i 5", "session i a", "session i b", "subject i a",
		},
		`{"iss":"é","sub":"a","NÉ":"b"}`: {"issuer é ", "jti é b", "subject é a"},
	} {
		if got := said(t, n, jwtOf(payload), revocation.AllRules); !slices.Equal(got, want) {
			t.Errorf("%s: %q", payload, got)
		}
	}
}

func TestKeys(t *testing.T) {
	token := jwtOf(`{"iss":"i","sub":"a","iat":5}`)
	want := []revocation.Key{
		Identify(token).Key, revocation.RuleKey(revocation.KindIssuer, "i", ""), revocation.RuleKey(revocation.KindSubject, "i", "a"),
	}
	if k := (*Names)(nil).Keys(" " + token); !slices.Equal(k.All, want) || !k.Issued.Equal(time.Unix(5, 0)) || k.Ambiguous {
		t.Errorf("%+v", k)
	}
	for token, ambiguous := range map[string]bool{
		"opaque": false, "a.b.c": false, exampleJWE: false, token + "=": false, strings.Replace(token, ".", "=x.", 1): true, jwtOf(`{"iss":NaN}`): true,
	} {
		if k := (*Names)(nil).Keys(token); k.Ambiguous != ambiguous || len(k.All) == 0 || k.All[0] != Identify(token).Key {
			t.Errorf("%s: %+v", token, k)
		}
	}
}

// The last rule is the last.
func TestRulesStops(t *testing.T) {
	token := encode(`{"alg":"ES256","kid":"k"}`) + "." + encode(`{"iss":"i","iss":"j","sub":"a","jti":"b"}`) + ".c2ln"
	for most := 1; most <= 8; most++ {
		calls := 0
		ok := (*Names)(nil).Rules(token, revocation.AllRules, func(revocation.Rule, time.Time) bool {
			calls++
			return calls < most
		})
		if calls != most || !ok {
			t.Errorf("%d calls, and not %d; %t", calls, most, ok)
		}
	}
}

// Tokens do not see each other's texts.
func TestRulesBesideEachOther(t *testing.T) {
	for i := range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			sub := strings.Repeat(string(rune('a'+i)), 500*(i+1)) + `\/`
			want := []string{"subject i " + strings.ReplaceAll(sub, `\`, "")}
			for range 500 {
				if got := said(t, nil, jwtOf(`{"iss":"i","sub":"`+sub+`"}`), revocation.KindsOf(revocation.KindSubject)); !slices.Equal(got, want) {
					t.Fatalf("%.20q", got)
				}
			}
		})
	}
}

func TestRulesDoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector, a pool forgets on purpose")
	}
	long := `{"iss":"https:\/\/i","iat":1.5,"sub":"Zoë","sid":1,"client_id":"c","jti":"` + strings.Repeat("j", 3000) + `"}`
	for _, payload := range []string{`{"iss":"https://i","iat":1718000000,"sub":"a","jti":"b","azp":"c"}`, long} {
		token := encode(`{"alg":"ES256","kid":"2026"}`) + "." + encode(payload) + ".c2ln"
		Identify(token)
		n := testing.AllocsPerRun(1000, func() {
			(*Names)(nil).Rules(token, revocation.AllRules, func(revocation.Rule, time.Time) bool { return true })
		})
		if n != 0 {
			t.Errorf("%.40s: %v allocations", payload, n)
		}
	}
}
