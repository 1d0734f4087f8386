package token

import (
	"slices"
	"strings"
	"testing"

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
