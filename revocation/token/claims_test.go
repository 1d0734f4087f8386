package token

import (
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func read(t *testing.T, header, payload string) Claims {
	t.Helper()
	claims, ok := ReadClaims(encode(header) + "." + encode(payload) + ".c2ln")
	if !ok {
		t.Fatalf("the claims %s cannot be read", payload)
	}
	return claims
}

func TestExpires(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	for _, test := range []struct {
		payload string
		latest  time.Time
		ok      bool
	}{
		{`{}`, time.Time{}, false},
		{`{"exp":1700000000}`, at(1700000000), true},
		{`{"exp":1700000000.5}`, at(1700000001), true},
		{`{"exp":1.7e9}`, at(1700000000), true},
		// No end at all to golang-jwt.
		{`{"exp":0}`, time.Time{}, false},
		{`{"exp":-1}`, time.Time{}, false},
		{`{"exp":-1e400}`, time.Time{}, false},
		{`{"exp":1e18}`, revocation.MaxExpires, true},
		{`{"exp":1e400}`, revocation.MaxExpires, true},
		{`{"exp":9223372036854775808}`, revocation.MaxExpires, true},
		// Some would read a number in a string, some would see no end.
		{`{"exp":"1700000000"}`, at(1700000000), false},
		{`{"exp":"NaN"}`, time.Time{}, false},
		{`{"exp":"Infinity"}`, revocation.MaxExpires, false},
		{`{"exp":"soon"}`, time.Time{}, false},
		{`{"exp":""}`, time.Time{}, false},
		{`{"exp":null}`, time.Time{}, false},
		{`{"exp":true}`, time.Time{}, false},
		{`{"exp":[1700000000]}`, time.Time{}, false},
		{`{"exp":{"exp":1700000000}}`, time.Time{}, false},
		// Some would read the first of several, some the last, some all cases.
		{`{"exp":1700000000,"exp":1800000000}`, at(1800000000), true},
		{`{"exp":1800000000,"exp":1700000000}`, at(1800000000), true},
		{`{"exp":1700000000,"exp":null}`, at(1700000000), false},
		{`{"exp":1700000000,"EXP":1800000000}`, at(1800000000), true},
		{`{"EXP":1700000000}`, at(1700000000), false},
		{`{"\u0065xp":1700000000}`, at(1700000000), true},
		{`{"a":{"exp":1800000000},"exp":1700000000}`, at(1700000000), true},
	} {
		latest, ok := read(t, `{"alg":"RS256"}`, test.payload).Expires()
		if !latest.Equal(test.latest) || ok != test.ok {
			t.Errorf("%s: Expires = %s, %t; want %s, %t", test.payload, latest, ok, test.latest, test.ok)
		}
	}
}

func TestReadClaimsOfNoJWT(t *testing.T) {
	header := encode(`{"alg":"RS256"}`)
	for _, token := range []string{
		"", "opaque", "a.b.c", header, header + "." + encode(`{}`),
		header + "." + encode(`[]`) + ".c2ln",
		header + "." + encode(`{"exp":1`) + ".c2ln",
		header + "." + encode(`{"exp":1]`) + ".c2ln",
		header + "." + encode(`"{}"`) + ".c2ln",
		header + "..c2ln",
		exampleJWE,
		encode(`{}`) + "." + encode(`{}`) + ".c2ln",
		`{}`, `{"payload":1}`, `{"payload":"e30","signatures":[]}`, `{"payload":"e30","signatures":[1]}`,
	} {
		if claims, ok := ReadClaims(token); ok {
			t.Errorf("%q has the claims %v", token, claims)
		}
	}
}

// The claims are those of the token, whichever way it is written.
func TestReadClaimsOfDisguises(t *testing.T) {
	header, payload := encode(`{"alg":"RS256"}`), encode(`{"exp":1700000000}`+" ")
	serialized := jsonJWS(header, payload, "c2ln")
	disguises := append(insertions(header+"."+payload+".c2ln"), serialized["flattened"], serialized["general"])
	for _, other := range spareBits(payload) {
		disguises = append(disguises, header+"."+other+".c2ln")
	}
	for _, presented := range disguises {
		claims, ok := ReadClaims(presented)
		if end, known := claims.Expires(); !ok || !known || end.Unix() != 1700000000 {
			t.Errorf("%q has the claims %v", presented, claims)
		}
	}
}

func TestNoAccessToken(t *testing.T) {
	const logout = `"events":{"http://schemas.openid.net/event/backchannel-logout":{}}`
	for _, test := range []struct {
		header, payload, want string
	}{
		{`{"alg":"RS256"}`, `{"iss":"i","sub":"s","aud":"a","exp":1}`, ""},
		{`{"alg":"RS256"}`, `{}`, ""},
		{`{"alg":"RS256","typ":"at+jwt"}`, `{"iss":"s","sub":"s","aud":"a","at_hash":"x"}`, ""},
		{`{"alg":"RS256","typ":"application/AT+JWT"}`, `{"at_hash":"x"}`, ""},
		{`{"alg":"RS256","typ":"JWT"}`, `{"iss":"i","sub":"s","aud":"a","nonce":"n","scope":"openid"}`, ""},
		{`{"alg":"RS256","typ":"JWT"}`, `{"iss":"i","sub":"s","aud":"a","nonce":"n","client_id":"c"}`, ""},
		{`{"alg":"RS256"}`, `{"iss":"i","events":{"other":{}}}`, ""},
		{`{"alg":"RS256"}`, `{"iss":"i","events":"none"}`, ""},
		{`{"alg":"RS256"}`, `{"iss":"s","sub":"s"}`, ""},
		{`{"alg":"RS256"}`, `{"iss":"","sub":"","aud":"a"}`, ""},

		{`{"alg":"RS256","typ":"logout+jwt"}`, `{}`, "logout token"},
		{`{"alg":"RS256","typ":"application/logout+jwt"}`, `{}`, "logout token"},
		{`{"alg":"RS256"}`, `{"iss":"i",` + logout + `}`, "logout token"},
		{`{"alg":"RS256"}`, `{"iss":"i","at_hash":"x"}`, "ID token"},
		{`{"alg":"RS256"}`, `{"iss":"i","c_hash":"x"}`, "ID token"},
		{`{"alg":"RS256"}`, `{"iss":"i","s_hash":"x"}`, "ID token"},
		{`{"alg":"RS256"}`, `{"iss":"i","typ":"ID"}`, "ID token"},
		{`{"alg":"RS256"}`, `{"iss":"i","typ":"Logout"}`, "logout token"},
		{`{"alg":"RS256"}`, `{"iss":"i","token_use":"id","client_id":"c"}`, "ID token"},
		{`{"alg":"RS256"}`, `{"iss":"i","token_use":"access"}`, ""},
		{`{"alg":"RS256"}`, `{"iss":"i","sub":"s","aud":"a","nonce":"n"}`, "ID token"},
		{`{"alg":"RS256"}`, `{"iss":"c","sub":"c","aud":"a"}`, "client assertion"},
	} {
		if got := read(t, test.header, test.payload).NoAccessToken(func(id string) bool { return id != "" }); got != test.want {
			t.Errorf("%s.%s is %q, want %q", test.header, test.payload, got, test.want)
		}
	}
}

func TestForClient(t *testing.T) {
	isClient := func(id string) bool { return id == "client" }
	for payload, want := range map[string]bool{
		`{"aud":"client","sub":"me"}`:                   true,
		`{"aud":["client"],"azp":"client"}`:             true,
		`{"aud":["api","client"]}`:                      true,
		`{"aud":"client","azp":null}`:                   true,
		`{"aud":"api"}`:                                 false,
		`{"sub":"client"}`:                              false,
		`{"aud":{"client":1}}`:                          false,
		`{"aud":"client","azp":"other"}`:                false, // that client's, and for this one as an API
		`{"aud":"client","scope":"s"}`:                  false,
		`{"aud":"client","scp":"s"}`:                    false,
		`{"aud":"client","roles":["r"],"azp":"client"}`: false,
		`{"aud":"client","appid":"client"}`:             false,
		`{"aud":"client","jti":"1"}`:                    false,
		`{"aud":"client","client_id":"client"}`:         false,
	} {
		if got := read(t, `{"alg":"RS256"}`, payload).ForClient(isClient); got != want {
			t.Errorf("%s: %t", payload, got)
		}
		if read(t, `{"alg":"RS256","typ":"application/at+jwt"}`, payload).ForClient(isClient) {
			t.Errorf("%s with the type of an access token", payload)
		}
	}
}

func TestRefresh(t *testing.T) {
	for _, test := range []struct {
		header, payload string
		want            bool
	}{
		{`{"alg":"RS256","typ":"rt+jwt"}`, `{}`, true},
		{`{"alg":"RS256","typ":"Application/RT+jwt"}`, `{}`, true},
		{`{"alg":"HS512","typ":"JWT"}`, `{"typ":"Refresh"}`, true},
		{`{"alg":"RS256","typ":"at+jwt"}`, `{"typ":"Bearer","token_type_hint":"refresh_token"}`, false},
		{`{"alg":"RS256"}`, `{"typ":["Refresh"]}`, false},
		{`{"alg":"RS256"}`, `{}`, false},
	} {
		if got := read(t, test.header, test.payload).Refresh(); got != test.want {
			t.Errorf("%s %s: %t", test.header, test.payload, got)
		}
	}
}
