package token

import (
	"slices"
	"strings"
	"testing"
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
func FuzzSessions(f *testing.F) {
	for _, s := range []string{
		`{"iss":"i","sid":"s"}`, `{"a":[{"sid":"x]"},1.5e3],"iss":"i" , "SID":null,"sid":7}`, `{"iss":"\u0069","s\u0069d":"s"}`,
		"{\n\t\"iss\":true,\"\u017fid\":\"\\\"\"}", `{"iss":"i","sid":NaN}`, `{"a":}`, `{}`, `{"iss":"i"}{"sid":"s"}`, "\xff", ``,
	} {
		f.Add(s)
	}
	names := []string{"sid", "session"}
	f.Fuzz(func(t *testing.T, payload string) {
		quick, ok := scanMembers([]byte(payload), "iss", names)
		parsed, valid := members([]byte(payload))
		if !ok || !valid {
			return
		}
		for _, name := range append(names, "iss") {
			if got, want := texts(quick, name), texts(parsed, name); !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q, want %q", payload, name, got, want)
			}
		}
	})
}
