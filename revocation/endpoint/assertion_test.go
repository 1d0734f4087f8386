package endpoint

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/relay"
)

func TestAssertionAlgorithms(t *testing.T) {
	a := newAsserting(t)
	for _, alg := range keys.Asymmetric {
		key := signingKeys()[kindOf[alg]]
		sign := func(client string) string { return signedBy(alg, key, header(alg, nil), a.with(client, nil)) }
		a.revoke(alg, sign("keys"), nil, 200)
		a.revoke(alg+" with kid and typ", signedBy(alg, key, header(alg, object{"kid": kindOf[alg], "typ": "JWT"}), a.with("keys", nil)), nil, 200)
		a.revoke(alg+" with another kid", signedBy(alg, key, header(alg, object{"kid": "x"}), a.with("keys", nil)), nil, 401)
		for client, want := range map[string]bool{"es256": alg == "ES256", "both": kindOf[alg] == "RSA", "secret": false, "hs512": false, "basic": false, "public": false, "nobody": false, "": false} {
			status := 401
			if want {
				status = 200
			}
			a.revoke(alg+" of "+client, sign(client), nil, status)
		}
	}
	for _, alg := range keys.Symmetric {
		sign := func(client string, secret string) string {
			return signedBy(alg, []byte(secret), header(alg, nil), a.with(client, nil))
		}
		for client, want := range map[string]bool{"secret": true, "hs512": alg == "HS512", "both": true, "keys": false, "es256": false, "basic": false, "public": false, "nobody": false, "": false} {
			status := 401
			if want {
				status = 200
			}
			a.revoke(alg+" of "+client, sign(client, longSecret), nil, status)
			a.revoke(alg+" of "+client+" with a wrong secret", sign(client, strings.ToUpper(longSecret)), nil, 401)
			a.revoke(alg+" of "+client+" without a secret", sign(client, ""), nil, 401)
		}
	}
}

// What is wrong with an assertion that is signed as it should be.
func TestAssertionClaims(t *testing.T) {
	a := newAsserting(t)
	now := a.now.Unix() // half a second ago
	in := func(seconds int64) object { return object{"exp": now + seconds} }
	for name, claims := range map[string]object{
		"only what is needed":   {"iat": nil},
		"aud in a list":         {"aud": []string{"https://elsewhere.example", alsoAnother}},
		"another aud":           {"aud": alsoAnother},
		"exp 10 minutes ahead":  in(600),
		"exp with a fraction":   {"exp": float64(now) + 60.5},
		"exp in scientific":     {"exp": json.RawMessage("1767323105e0")},
		"a fast clock":          {"iat": now + 30, "nbf": now + 30, "exp": now + 630},
		"a slow clock":          {"iat": now - 90, "nbf": now - 90, "exp": now - 29},
		"nbf now":               {"nbf": now},
		"iat long ago":          {"iat": 1},
		"nbf null":              {"nbf": json.RawMessage("null")},
		"other claims":          {"scope": "x", "x": object{"y": []int{1}}, "ISS": "x"},
		"jti of 256 bytes":      {"jti": strings.Repeat("j", 256)},
		"jti with odd letters":  {"jti": "\x00 ü\n"},
		"aud twice in its list": {"aud": []string{accepted, accepted}},
	} {
		a.revoke(name, a.es256(claims), nil, 200)
	}
	for name, claims := range map[string]object{
		"no iss": {"iss": nil}, "no sub": {"sub": nil}, "neither": {"iss": nil, "sub": nil}, "both empty": {"iss": "", "sub": ""},
		"another iss": {"iss": "es256"}, "another sub": {"sub": "es256"}, "unknown": {"iss": "x", "sub": "x"}, "iss in capitals": {"iss": "KEYS"},
		"another client": {"iss": "secret", "sub": "secret"}, "iss a list": {"iss": []string{"keys"}}, "sub a number": {"sub": 1}, "sub null": {"sub": json.RawMessage("null")},
		"no aud": {"aud": nil}, "aud empty": {"aud": ""}, "aud an empty list": {"aud": []string{}}, "aud elsewhere": {"aud": "https://elsewhere.example"},
		"aud with a slash": {"aud": accepted + "/"}, "aud in capitals": {"aud": strings.ToUpper(accepted)}, "aud of the start": {"aud": "https://gateway.example"},
		"aud a number": {"aud": 1}, "aud an object": {"aud": object{"a": accepted}}, "aud of numbers": {"aud": []any{accepted, 1}}, "aud null": {"aud": json.RawMessage("null")},
		"aud in a list in a list": {"aud": []any{[]any{accepted}}},
		"no exp":                  {"exp": nil}, "exp null": {"exp": json.RawMessage("null")}, "exp 0": {"exp": 0}, "exp negative": {"exp": -1}, "exp a text": {"exp": fmt.Sprint(now + 60)},
		"exp true": {"exp": true}, "exp huge": {"exp": json.RawMessage("1e300")}, "exp too huge": {"exp": json.RawMessage("1e999")}, "exp of 9999": {"exp": 253402300799},
		"expired": in(-31), "expired just now": {"exp": float64(now) - 29.5}, "exp 11 minutes ahead": in(660), "exp in milliseconds": {"exp": (now + 60) * 1000}, "exp a second too far": in(632),
		"nbf in the future": {"nbf": now + 32}, "iat in the future": {"iat": now + 32}, "nbf a text": {"nbf": "now"}, "iat a list": {"iat": []int{1}},
		"no jti": {"jti": nil}, "jti empty": {"jti": ""}, "jti a number": {"jti": 1}, "jti too long": {"jti": strings.Repeat("j", 257)}, "jti null": {"jti": json.RawMessage("null")},
	} {
		a.revoke(name, a.es256(claims), nil, 401)
	}
	for name, payload := range map[string]string{
		"iss twice":                 strings.Replace(a.with("keys", nil), "{", `{"iss":"keys",`, 1),
		"exp twice":                 strings.Replace(a.with("keys", nil), "{", fmt.Sprintf(`{"exp":%d,`, now+60), 1),
		"unknown claim twice":       strings.Replace(a.with("keys", nil), "{", `{"x":1,"x":1,`, 1),
		"something behind":          a.with("keys", nil) + "{}",
		"a list":                    "[" + a.with("keys", nil) + "]",
		"no JSON":                   "keys",
		"null":                      "null",
		"nothing":                   "",
		"names in capitals":         strings.NewReplacer("exp", "EXP", "jti", "JTI").Replace(a.with("keys", nil)),
		"a claim twice in a claim":  strings.Replace(a.with("keys", nil), "{", `{"iss":"keys","iss":"keys",`, 1),
		"escaped twice":             strings.Replace(a.with("keys", nil), "{", `{"\u0069ss":"keys",`, 1),
		"iss of another as the 1st": strings.Replace(a.with("keys", nil), "{", `{"iss":"both",`, 1),
	} {
		a.revoke(name, signedBy("ES256", signingKeys()["P-256"], header("ES256", nil), payload), nil, 401)
	}
}

func TestAssertionHeaders(t *testing.T) {
	a := newAsserting(t)
	sign := func(key string, more object) string {
		return signedBy("ES256", signingKeys()[key], header("ES256", more), a.with("keys", nil))
	}
	for _, typ := range []string{"JWT", "jwt", "client-authentication+jwt", "Client-Authentication+JWT", ""} {
		a.revoke(typ, sign("P-256", object{"typ": typ}), nil, 200)
	}
	for _, typ := range []any{"at+jwt", "JWS", "JOSE", "logout+jwt", "application/jwt", "dpop+jwt", "secevent+jwt", " JWT", 1, []string{"JWT"}} {
		a.revoke(fmt.Sprint(typ), sign("P-256", object{"typ": typ}), nil, 401)
	}
	own := jose.JSONWebKey{Key: signingKeys()["other"].Public()}
	for name, more := range map[string]object{
		"jwk": {"jwk": own}, "jku": {"jku": "http://127.0.0.1:1/keys"}, "x5u": {"x5u": "http://127.0.0.1:1/chain"},
		"crit": {"crit": []string{"exp"}, "exp": 1}, "unknown crit": {"crit": []string{"x"}, "x": 1}, "empty crit": {"crit": []string{}}, "b64": {"b64": false},
	} {
		a.revoke(name, sign("P-256", more), nil, 401)
		a.revoke(name+" by another key", sign("other", more), nil, 401)
	}
	a.revoke("x5c means nothing", sign("P-256", object{"x5c": []string{}}), nil, 200)
	a.revoke("another key", sign("other", nil), nil, 401)
	a.revoke("alg of another curve", signedBy("ES256", signingKeys()["P-256"], header("ES384", nil), a.with("keys", nil)), nil, 401)
	for _, alg := range []string{"none", "None", "NONE", ""} {
		input := base64.RawURLEncoding.EncodeToString([]byte(header(alg, nil))) + "." + base64.RawURLEncoding.EncodeToString([]byte(a.with("keys", nil))) + "."
		a.revoke("alg "+alg, input, nil, 401)
		a.revoke("alg "+alg+" with a signature", input+"AAAA", nil, 401)
	}
	for name, assertion := range map[string]string{
		"not a JWT": "x", "two segments": "a.b", "JWE": "a.b.c.d.e", "dots": "..", "cut off": a.es256(nil)[:100], "a space": " " + a.es256(nil), "a line break": a.es256(nil) + "\n",
		"padded": a.es256(nil) + "==",
	} {
		a.revoke(name, assertion, nil, 401)
	}
}

// What stands beside the assertion.
func TestAssertionParameters(t *testing.T) {
	a := newAsserting(t)
	for name, test := range map[string]struct {
		more url.Values
		want int
	}{
		"client_id":             {url.Values{"client_id": {"keys"}}, 200},
		"client_id empty":       {url.Values{"client_id": {""}}, 200},
		"another client_id":     {url.Values{"client_id": {"es256"}}, 401},
		"an unknown client_id":  {url.Values{"client_id": {"x"}}, 401},
		"client_id in capitals": {url.Values{"client_id": {"KEYS"}}, 401},
		"no type":               {url.Values{"client_assertion_type": nil}, 401},
		"another type":          {url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}}, 401},
		"type in capitals":      {url.Values{"client_assertion_type": {strings.ToUpper(assertionType)}}, 401},
		"type with a space":     {url.Values{"client_assertion_type": {assertionType + " "}}, 401},
		"a secret":              {url.Values{"client_secret": {longSecret}}, 400},
		"type twice":            {url.Values{"client_assertion_type": {assertionType, assertionType}}, 400},
		"assertion twice":       {url.Values{"client_assertion": {"a", "b"}}, 400},
	} {
		a.revoke(name, a.es256(nil), test.more, test.want)
	}
	none := *a.Endpoint
	none.audiences = must(New(Config{Clients: a.clients, Retain: 1})).audiences
	a.Endpoint = &none
	a.revoke("where no audience is known", a.es256(nil), nil, 401)
}

// The reason is told where it helps the client, and never what it sent.
func TestAssertionReasons(t *testing.T) {
	a := newAsserting(t)
	for want, claims := range map[string]object{
		"has expired": {"exp": 1}, "no exp": {"exp": nil}, "ends more than 10m0s ahead": {"exp": 1 << 40}, "no aud that is accepted": {"aud": "s3cret"}, "jti of at most": {"jti": strings.Repeat("s3cret", 100)},
		"must be the client_id": {"iss": "s3cret"}, "in the future": {"nbf": 1 << 40}, "cannot be read": {"aud": object{"s3cret": 1}},
	} {
		if body := a.revoke(want, a.es256(claims), nil, 401); !strings.Contains(body, want) || strings.Contains(body, "s3cret") {
			t.Errorf("%s, want %s", body, want)
		}
	}
}

// A used assertion is refused as long as it would be accepted otherwise, and one
// that is refused for something else is not used by that.
func TestAssertionIsUsedOnce(t *testing.T) {
	a := newAsserting(t)
	same := object{"jti": "the same"}
	refused := a.es256(same)
	a.revoke("no token", refused, url.Values{"token": {""}}, 400)
	a.revoke("another client_id", refused, url.Values{"client_id": {"both"}}, 401)
	a.revoke("the first time", refused, nil, 200)
	a.revoke("again", refused, nil, 401)
	a.revoke("another of the same jti", a.es256(object{"jti": "the same", "exp": a.now.Unix() + 600}), nil, 401)
	a.revoke("of another client", signedBy("ES256", signingKeys()["P-256"], header("ES256", nil), a.with("es256", same)), nil, 200)
	a.now = a.now.Add(60*time.Second + clockLeeway - time.Second)
	a.revoke("at the end", refused, nil, 401)

	used := a.es256(nil)
	w, done := a.send(url.Values{"token": {"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.c2ln"}, "client_assertion": {used}, "client_assertion_type": {assertionType}})
	if w.Code != 200 || len(done.Records) != 0 {
		t.Errorf("an expired token: %d %+v", w.Code, done)
	}
	a.revoke("again, for one that has not", used, nil, 401)
}

// Of ten at once one succeeds.
func TestAssertionAtOnce(t *testing.T) {
	a := newAsserting(t)
	form := url.Values{"token": {"t"}, "client_assertion": {a.es256(nil)}, "client_assertion_type": {assertionType}}
	var wg sync.WaitGroup
	var done, refused atomic.Int64
	for range 10 {
		wg.Go(func() {
			switch w, _ := a.send(form); w.Code {
			case 200:
				done.Add(1)
			case 401:
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 || refused.Load() != 9 {
		t.Errorf("%d of 10 succeeded, %d were refused", done.Load(), refused.Load())
	}
}

// Keys that are not to be had are no reason to say that the client is wrong. No
// assertion that can be refused without them has them fetched.
func TestAssertionKeysUnavailable(t *testing.T) {
	var fetched atomic.Int64
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer host.Close()
	a := newAsserting(t, Client{ID: "remote", Keys: must(keys.NewRemote(keys.RemoteConfig{URL: host.URL}))})
	sign := func(alg string, key any, more, claims object) string {
		return signedBy(alg, key, header(alg, more), a.with("remote", claims))
	}
	key := signingKeys()["P-256"]
	for name, assertion := range map[string]string{
		"HS256":         sign("HS256", []byte(longSecret), nil, nil),
		"jku":           sign("ES256", key, object{"jku": host.URL}, nil),
		"x5u":           sign("ES256", key, object{"x5u": host.URL}, nil),
		"crit":          sign("ES256", key, object{"crit": []string{"x"}}, nil),
		"unknown alg":   signedBy("ES256", key, header("ES256K", nil), a.with("remote", nil)),
		"typ":           sign("ES256", key, object{"typ": "at+jwt"}, nil),
		"expired":       sign("ES256", key, nil, object{"exp": 1}),
		"another aud":   sign("ES256", key, nil, object{"aud": "x"}),
		"no jti":        sign("ES256", key, nil, object{"jti": nil}),
		"another iss":   sign("ES256", key, nil, object{"iss": "x"}),
		"unknown":       signedBy("ES256", key, header("ES256", nil), a.with("nobody", nil)),
		"another's key": signedBy("ES256", key, header("ES256", object{"jku": host.URL}), a.with("keys", nil)),
	} {
		a.revoke(name, assertion, nil, 401)
	}
	if n := fetched.Load(); n != 0 {
		t.Fatalf("%d requests for keys", n)
	}
	a.revoke("keys not to be had", sign("ES256", key, nil, nil), nil, 503)
	if n := fetched.Load(); n != 1 {
		t.Errorf("%d requests for keys", n)
	}
}

// An assertion names its client without client_id too, so that the client of an
// endpoint with a relay cannot pass for one that only the server behind knows.
func TestAssertionOfNoStranger(t *testing.T) {
	a := newAsserting(t)
	relaying := *a.Endpoint
	relaying.relay = must(relay.New(relay.Config{URL: "http://127.0.0.1:1"}))
	foreign := signedBy("ES256", signingKeys()["other"], header("ES256", nil), a.with("elsewhere", nil))
	for name, test := range map[string]struct {
		assertion, clientID string
		stranger            string
	}{
		"own":                           {a.es256(nil), "", ""},
		"own, of a wrong key":           {signedBy("ES256", signingKeys()["other"], header("ES256", nil), a.with("keys", nil)), "", ""},
		"own, beside another client_id": {a.es256(nil), "elsewhere", ""},
		"another, beside an own":        {foreign, "keys", ""},
		"another":                       {foreign, "", "elsewhere"},
		"another, beside its client_id": {foreign, "elsewhere", "elsewhere"},
	} {
		form := parameters{"client_assertion": test.assertion, "client_assertion_type": assertionType, "client_id": test.clientID}
		given, wrong := relaying.manner.credentials(nil, form)
		client := relaying.stranger(given, wrong, form)
		if (client == nil) != (test.stranger == "") || client != nil && client.ID != test.stranger {
			t.Errorf("%s: %+v, want %q", name, client, test.stranger)
		}
	}
}

func TestDecoyKeys(t *testing.T) {
	for _, alg := range keys.Asymmetric {
		if found, err := decoyKeys().Find(t.Context(), "any", alg); err != nil || len(found) != 1 {
			t.Errorf("%s: %d keys, %v", alg, len(found), err)
		}
	}
}
