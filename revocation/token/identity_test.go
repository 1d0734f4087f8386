package token

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// The examples of the RFCs. What was stored under these keys must be found by
// every later version.
const (
	exampleJWS = "eyJhbGciOiJSUzI1NiJ9" + // RFC 7515 A.2
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5juj" +
		"Gbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7" +
		"K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np" +
		"6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	exampleJWE = "eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0" + // RFC 7516 A.3
		".6KB707dM9YTIgHtLvtgWQ8mKwboJW3of9locizkDTHzBC2IlrT1oOQ.AxY8DCtDaGlsbGljb3RoZQ" +
		".KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.U0m_YmjN04DJvceFICbCVQ"
	exampleOpaque = "mF_9.B5f-4.1JqM" // RFC 6750
)

func TestGolden(t *testing.T) {
	for _, test := range []struct {
		token string
		form  Form
		want  string
	}{
		{exampleJWS, JWS, "c88a34847b4ffb12a9326e540f144b3dcc4d5515f18701e7d6e0ee7866c9c705"},
		{exampleJWE, JWE, "577161bd8a20b983e9c3f5848501115371601a4bbfaf84b6cea5fda2721b7b51"},
		{exampleOpaque, Opaque, "b8e148545b13c78bc74da2f1a7275dd71e56ddece129d7d2f7b3ecc06f7994da"},
	} {
		id := Identify(test.token)
		if got := hex.EncodeToString(id.Key.Digest[:]); got != test.want || id.Form != test.form {
			t.Errorf("%.20s… is %s of form %d, want %s of form %d", test.token, got, id.Form, test.want, test.form)
		}
		if !id.Visible || id.Ambiguous || id.Others != nil {
			t.Errorf("%.20s… = %+v", test.token, id)
		}
	}
}

func TestForm(t *testing.T) {
	for _, test := range []struct {
		header string
		want   Form
	}{
		{`{"alg":"RS256"}`, JWS},
		{`{"typ":"JWT","alg":"RS256","kid":"1"}`, JWS},
		{` { "alg" : "none" , "x" : [1, {"enc": 2}] } `, JWS},
		{`{"\u0061lg":"RS256"}`, JWS},
		{`{"alg":null}`, JWS},
		{`{"kid":"é","alg":"RS256"}`, JWS},
		{`{"alg":"RS256","enc":"no JWE has three segments"}`, JWS},
		{`{}`, Opaque},
		{`{"typ":"JWT"}`, Opaque},
		{`{"ALG":"RS256"}`, Opaque},
		{`{"alg":"RS256"`, Opaque},
		{`{"alg":"RS256"}{`, JWS},
		{`["alg"]`, Opaque},
		{`"alg"`, Opaque},
		{`alg`, Opaque},
		{``, Opaque},
	} {
		token := encode(test.header) + ".e30.c2ln"
		if got := Identify(token).Form; got != test.want {
			t.Errorf("a header %s makes form %d, want %d", test.header, got, test.want)
		}
	}
}

// What has no structure is nothing but its bytes.
func TestOpaqueIsExact(t *testing.T) {
	tokens := []string{
		"", "a", "A", "a.b", "a.b.c", "a.b.d", "a.b.c.d", "A.b.c", "a.B.c", "ab.c.", "..", ".", "a b", "a\tb",
		"a=", "a==", "a+", "a-", "a/", "a_", "a,b", "é", "\u00a0a", "17|abc", "{}", `{"payload":1`, "%61",
		"eyJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJSUzI1NiJ9.e30", "e30.e30.e30", "\xff", "\xfe",
	}
	seen := make(map[[32]byte]string)
	for _, token := range tokens {
		id := Identify(token)
		if id.Form != Opaque || id.Key.Digest != sha256.Sum256([]byte(token)) {
			t.Errorf("%q = %+v", token, id)
		}
		if other, ok := seen[id.Key.Digest]; ok {
			t.Errorf("%q and %q are the same", token, other)
		}
		seen[id.Key.Digest] = token
		if trimmed := Identify(" \t\r\n\v\f" + token + " \n"); trimmed.Key != id.Key {
			t.Errorf("%q is another one with white space around it", token)
		}
	}
}

func TestVisible(t *testing.T) {
	header, payload, _ := strings.Cut(strings.TrimSuffix(exampleJWS, exampleJWS[strings.LastIndex(exampleJWS, "."):]), ".")
	for name, with := range map[string]func(string) string{
		"an opaque token":             func(s string) string { return "abcdefgh" + s + "abcdefgh" },
		"an opaque token with points": func(s string) string { return "abcdefgh.abcdefgh." + s + "abcdefgh" },
		"a header":                    func(s string) string { return header + s + "." + payload + ".c2ln" },
		"a payload":                   func(s string) string { return header + "." + payload + s + ".c2ln" },
		"a signature":                 func(s string) string { return header + "." + payload + ".c2lnc2ln" + s + "c2lnc2ln" },
		"the segments of a JWE":       func(s string) string { return exampleJWE[:len(exampleJWE)-9] + s + exampleJWE[len(exampleJWE)-9:] },
	} {
		for c := range 256 {
			want := c > ' ' && c < 0x7f && c != ','
			if got := Identify(with(string([]byte{byte(c)}))).Visible; got != want {
				t.Errorf("%s with %q: visible is %t", name, byte(c), got)
			}
		}
	}
	if Identify("").Visible || Identify(" ").Visible {
		t.Error("nothing is visible")
	}
}

func TestIdentifyDoesNotAllocate(t *testing.T) {
	for name, token := range map[string]string{"JWS": exampleJWS, "opaque": "17|abcdef"} {
		if n := testing.AllocsPerRun(1000, func() { Identify(token) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	header := encode(`{"alg":"RS256","typ":"JWT","kid":"2025-01-01"}`)
	claims := func(n int) string {
		return encode(`{"iss":"https://idp.example.com","pad":"` + strings.Repeat("x", n) + `"}`)
	}
	for _, test := range []struct {
		name      string
		payload   string
		signature int
	}{
		{"RS256", claims(255), 256},
		{"ES256", claims(450), 64},
	} {
		token := header + "." + test.payload + "." + encode(strings.Repeat("s", test.signature))
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Identify(token)
			}
			b.ReportMetric(float64(len(token)), "B/token")
		})
	}
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// What only some readers would take for the header of a JWS is not trusted, and
// what nobody would is a token like any other.
func TestAlmostHeader(t *testing.T) {
	for header, want := range map[string]bool{
		`{"ALG":"RS256"}`:                             true,
		`{"alg":"RS256","n":NaN}`:                     true,
		`{"\u0061lg":"RS256","n":Infinity}`:           true,
		"\ufeff" + `{"alg":"RS256"}`:                  true,
		`{alg:'RS256'}`:                               true,
		`/**/{"alg":"RS256"}`:                         true,
		"{\x00\"\x00a\x00l\x00g\x00\"\x00:\x001\x00}": true,
		`{"user":"alg"}`:                              false, // a session of Flask
		`{"alg`:                                       true,
		`{}`:                                          false,
		`["alg","{"]`:                                 false,
		`alg`:                                         false,
		"\x00{\xff":                                   false,
	} {
		if id := Identify(encode(header) + ".e30.c2ln"); id.Ambiguous != want || id.Form != Opaque {
			t.Errorf("%q: %+v", header, id)
		}
	}
}

// A list in which a JWS stands behind other tokens is not itself one, in
// whichever way.
func TestListBeforeAHeader(t *testing.T) {
	for i := range 64 {
		for _, other := range []string{strings.Repeat("o", i), strings.Repeat("e3", i), "Bearer " + strings.Repeat("A", i)} {
			if id := Identify(other + ", " + exampleJWS); id.Ambiguous {
				t.Errorf("%q is not clear", other)
			}
		}
	}
}
