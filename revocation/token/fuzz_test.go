package token

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func FuzzIdentify(f *testing.F) {
	for _, s := range []string{"", ".", "..", "{", "{}", exampleJWS, exampleJWE, exampleOpaque, jws, jwe, " \u00a0" + jws, "\xff"} {
		f.Add(s, uint(7))
	}
	for _, s := range jsonJWS(jwsHeader, jwsPayload, jwsSignature) {
		f.Add(s, uint(20))
	}
	f.Fuzz(func(t *testing.T, s string, at uint) {
		id := Identify(s)
		if again := Identify(s); again.Key != id.Key || again.Form != id.Form {
			t.Errorf("%q = %+v, and then %+v", s, id, again)
		}
		if trimmed := Identify("\n" + s + " "); trimmed.Key != id.Key {
			t.Errorf("%q = %+v, and %+v with white space around it", s, id, trimmed)
		}
		if _, ok := ReadClaims(s); ok && id.Form != JWS && !id.Ambiguous {
			t.Errorf("%q = %+v, and yet it has claims", s, id)
		}
		if _, serialized := jsonText(trim(s)); serialized || id.Form == Opaque {
			return
		}
		i, space := int(at%uint(len(s)+1)), spaces[at%uint(len(spaces))]
		if spaced := Identify(s[:i] + space + s[i:]); spaced.Key != id.Key || spaced.Form != id.Form {
			t.Errorf("%q = %+v, and %+v with white space", s, id, spaced)
		}
		parts := strings.Split(s, ".")
		for i := range parts {
			parts[i] = canonical(parts[i])
		}
		rewritten := strings.Join(parts, ".")
		if canonical := Identify(rewritten); canonical.Key != id.Key || canonical.Form != id.Form {
			t.Errorf("%q = %+v, and %q = %+v", s, id, rewritten, canonical)
		}
	})
}

func FuzzReadClaims(f *testing.F) {
	for _, s := range []string{`{"exp":1}`, `{"exp":"1","exp":null}`, `{"a":[{}],"EXP":1e999}`, "[]", "{", ""} {
		f.Add(`{"alg":"RS256","typ":"JWT"}`, s)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		claims, ok := ReadClaims(encode(header) + "." + encode(payload) + ".c2ln")
		if !ok {
			return
		}
		if latest, ok := claims.Expires(); ok && latest.Unix() > int64(maxSeconds) {
			t.Errorf("%s ends at %s", payload, latest)
		}
		claims.NoAccessToken(func(string) bool { return true })
	})
}

// The quick way finds what the parser finds.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{"iss":"i","sid":"s"}`, `{"a":[{"sid":"x]"},1.5e3],"iss":"i" , "SID":null,"sid":7}`, `{"iss":"\u0069","s\u0069d":"s"}`,
		"{\n\t\"iss\":true,\"\u017fid\":\"\\\"\"}", `{"iss":"i","sid":NaN}`, `{"a":}`, `{}`, `{"iss":"i"}{"sid":"s"}`, "\xff", ``,
		`{"iss":"https:\/\/i","sub":"a\/\u0062","iat":1.7e9}`, `{"iat":-0.5,"IAT":"1","azp":01}`,
	} {
		f.Add(s)
	}
	names := named(f)
	f.Fuzz(func(t *testing.T, payload string) {
		var quick, parsed reading
		known, fits := names.scan(&quick, []byte(payload), revocation.AllRules)
		claims, valid := members([]byte(payload))
		if !known || !fits || !valid {
			return
		}
		for _, m := range claims {
			if at := names.findFold(m.name); at >= 0 && !names.take(&parsed, at, m.name, m.value, revocation.AllRules) {
				t.Fatalf("%s: too much, to the parser", payload)
			}
		}
		if !slices.Equal(quick.issuers, parsed.issuers) || !slices.Equal(quick.values, parsed.values) || quick.issued != parsed.issued {
			t.Errorf("%s: %+v, want %+v", payload, quick, parsed)
		}
	})
}

// Whatever encoding/json reads from a token, into a map or into a struct, which
// does not mind case, is found.
func FuzzRules(f *testing.F) {
	for _, s := range []string{
		`{"iss":"i","sub":"a","iat":5}`, `{"ISS":"i","iss":"j","Sub":1,"jti":"b","azp":"c"}`, `{"iss":"https:\/\/i","sub":"\ud83d\ude00\ud800"}`,
		`{"iss":"i","sub":"a\u0000","iat":1.5e1,"IAT":2}`, "{\"iss\":\"\xff\",\"\u017fub\":\"\"}", `{"iss":1e5,"jti":-0.0,"iat":null}`,
	} {
		f.Add(`{"alg":"ES256","kid":"k"}`, s)
	}
	type header struct {
		Kid *string `json:"kid"`
	}
	type claims struct {
		Issuer  *string  `json:"iss"`
		Subject *string  `json:"sub"`
		ID      *string  `json:"jti"`
		Client  *string  `json:"client_id"`
		Issued  *float64 `json:"iat"`
	}
	f.Fuzz(func(t *testing.T, protected, payload string) {
		token := encode(protected) + "." + encode(payload) + ".c2ln"
		id := Identify(token)
		if id.Ambiguous || id.Form != JWS {
			return
		}
		var found []revocation.Rule
		var issued time.Time
		ok := (*Names)(nil).Rules(token, revocation.AllRules, func(r revocation.Rule, at time.Time) bool {
			found, issued = append(found, revocation.Rule{Kind: r.Kind, Issuer: strings.Clone(r.Issuer), Value: strings.Clone(r.Value)}), at
			return true
		})
		if !ok {
			return
		}
		check := func(issuer, value *string, kind revocation.Kind) {
			if issuer == nil || *issuer == "" || value == nil {
				return
			}
			if want := (revocation.Rule{Kind: kind, Issuer: *issuer, Value: *value}); !slices.Contains(found, want) {
				t.Errorf("%s.%s: %+v is not among %+v", protected, payload, want, found)
			}
		}
		late := func(issuer *string, seconds *float64) {
			if issuer == nil || *issuer == "" || issued.IsZero() {
				return
			}
			if seconds == nil || float64(issued.UnixMicro())/1e6 > *seconds+1e-5 {
				t.Errorf("%s: issued at %s", payload, issued)
			}
		}
		empty := ""
		var h header
		_ = json.Unmarshal([]byte(protected), &h)
		var c claims
		if json.Unmarshal([]byte(payload), &c) == nil {
			check(c.Issuer, &empty, revocation.KindIssuer)
			check(c.Issuer, h.Kid, revocation.KindKey)
			check(c.Issuer, c.Subject, revocation.KindSubject)
			check(c.Issuer, c.ID, revocation.KindJTI)
			check(c.Issuer, c.Client, revocation.KindClient)
			late(c.Issuer, c.Issued)
		}
		var m map[string]any
		if json.Unmarshal([]byte(payload), &m) != nil {
			return
		}
		text := func(name string) *string {
			if s, ok := m[name].(string); ok {
				return &s
			}
			return nil
		}
		check(text("iss"), &empty, revocation.KindIssuer)
		check(text("iss"), text("sub"), revocation.KindSubject)
		check(text("iss"), text("jti"), revocation.KindJTI)
		for _, name := range clientClaims {
			check(text("iss"), text(name), revocation.KindClient)
		}
		check(text("iss"), text("sid"), revocation.KindSession)
		var seconds *float64
		if n, ok := m["iat"].(float64); ok {
			seconds = &n
		}
		late(text("iss"), seconds)
	})
}
