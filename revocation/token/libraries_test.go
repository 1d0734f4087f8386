package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// What real libraries verify, and how a token has to be written for it. Where
// one begins to take more, or less, the table says so.
func TestLibrariesVerifyDisguises(t *testing.T) {
	type verified struct{ goJose, golangJWT, golangJWTPadded bool }
	all, none := verified{true, true, true}, verified{}
	onlyGoJose := verified{goJose: true}
	segment := func(i int, change func(string) string) func(string) string {
		return func(token string) string {
			parts := strings.Split(token, ".")
			parts[i] = change(parts[i])
			return strings.Join(parts, ".")
		}
	}
	otherBits := func(s string) string { list := spareBits(s); return list[len(list)-1] }
	insert := func(space string) func(string) string {
		return func(s string) string { return s[:5] + space + s[5:] }
	}
	pad := func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) }
	serialize := func(name string) func(string) string {
		return func(token string) string {
			parts := strings.Split(token, ".")
			return jsonJWS(parts[0], parts[1], parts[2])[name]
		}
	}
	for _, disguise := range []struct {
		name  string
		wear  func(token string) string
		wants verified
	}{
		{"as it is", func(token string) string { return token }, all},
		{"other bits in the header", segment(0, otherBits), onlyGoJose},
		{"other bits in the payload", segment(1, otherBits), onlyGoJose},
		{"other bits in the signature", segment(2, otherBits), all},
		{"a line break in the header", segment(0, insert("\r\n")), onlyGoJose},
		{"a line break in the payload", segment(1, insert("\n")), onlyGoJose},
		{"a line break in the signature", segment(2, insert("\r\n")), verified{goJose: true, golangJWT: true}},
		{"a blank in the signature", segment(2, insert(" ")), onlyGoJose},
		{"a no-break space in the header", segment(0, insert("\u00a0")), onlyGoJose},
		{"a line separator in the payload", segment(1, insert("\u2028")), onlyGoJose},
		{"padding in the signature", segment(2, pad), verified{golangJWTPadded: true}},
		{"another segment", func(token string) string { return token + ".x" }, none},
		{"white space around it", func(token string) string { return "\u3000" + token + "\n" }, onlyGoJose},
		{"flattened JSON", serialize("flattened"), onlyGoJose},
		{"JSON with more names", serialize("flattened, with more names"), onlyGoJose},
		{"JSON that has escapes", func(token string) string {
			return strings.Replace(serialize("flattened")(token), "payload", `\u0070ayload`, 1)
		}, onlyGoJose},
		{"general JSON", serialize("general"), onlyGoJose},
	} {
		for _, issuer := range issuers(t) {
			presented := disguise.wear(issuer.token)
			got := verified{
				goJose:          goJoseVerifies(presented, issuer),
				golangJWT:       golangJWTVerifies(presented, issuer),
				golangJWTPadded: golangJWTVerifies(presented, issuer, jwt.WithPaddingAllowed()),
			}
			if got != disguise.wants {
				t.Errorf("%s, %s: verified by %+v, want %+v", issuer.alg, disguise.name, got, disguise.wants)
			}
			if !known(presented, Identify(issuer.token).Key) {
				t.Errorf("%s, %s: %q is another token", issuer.alg, disguise.name, presented)
			}
		}
	}
}

// Whoever has one ECDSA signature can write another.
func TestLibrariesVerifyTheTwin(t *testing.T) {
	for _, issuer := range issuers(t) {
		if issuer.alg != "ES256" {
			continue
		}
		end := strings.LastIndex(issuer.token, ".") + 1
		signature, err := base64.RawURLEncoding.DecodeString(issuer.token[end:])
		if err != nil {
			t.Fatal(err)
		}
		n := elliptic.P256().Params().N
		new(big.Int).Sub(n, new(big.Int).SetBytes(signature[32:])).FillBytes(signature[32:])
		twin := issuer.token[:end] + base64.RawURLEncoding.EncodeToString(signature)
		if twin == issuer.token || !goJoseVerifies(twin, issuer) || !golangJWTVerifies(twin, issuer) {
			t.Errorf("nobody verifies the twin %q", twin)
		}
		if !known(twin, Identify(issuer.token).Key) {
			t.Errorf("the twin %q is another token", twin)
		}
	}
}

func TestLibrariesDecryptDisguises(t *testing.T) {
	secret := []byte("0123456789abcdef")
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: secret},
		(&jose.EncrypterOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := encrypter.Encrypt([]byte(`{"sub":"alice"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	decrypts := func(presented string) bool {
		object, err := jose.ParseEncrypted(presented, []jose.KeyAlgorithm{jose.DIRECT}, []jose.ContentEncryption{jose.A128GCM})
		if err != nil {
			return false
		}
		_, err = object.Decrypt(secret)
		return err == nil
	}
	parts := strings.Split(token, ".")
	with := func(i int, segment string) string {
		other := append([]string(nil), parts...)
		other[i] = segment
		return strings.Join(other, ".")
	}
	flat := `{"protected":"` + parts[0] + `","iv":"` + parts[2] + `","ciphertext":"` + parts[3] + `","tag":"` + parts[4] + `"}`
	whole := string(decode(parts[3])) + string(decode(parts[4]))
	for name, presented := range map[string]string{
		"as it is":                         token,
		"garbage for an encrypted key":     with(1, "Z2FyYmFnZQ"),
		"other bits in the tag":            with(4, spareBits(parts[4])[1]),
		"other bits in the header":         with(0, spareBits(parts[0])[1]),
		"a line break in the ciphertext":   with(3, parts[3][:5]+"\n"+parts[3][5:]),
		"no-break spaces":                  strings.Join(parts, "\u00a0.\u00a0"),
		"another border before the tag":    strings.Join([]string{parts[0], "", parts[2], encode(whole[:3]), encode(whole[3:])}, "."),
		"JSON":                             flat,
		"JSON with no-break spaces":        "\u00a0" + strings.ReplaceAll(flat, ":", "\u00a0:\u00a0"),
		"JSON with white space in a name":  strings.Replace(flat, "cipher", "cipher ", 1),
		"JSON with a recipient of its own": strings.Replace(flat, "{", `{"recipients":[{"encrypted_key":"eA"}],`, 1),
		"JSON that is a JWS as well":       strings.Replace(flat, "{", `{"payload":"e30","signature":"",`, 1),
	} {
		if !decrypts(presented) {
			t.Errorf("%s: nobody decrypts %q", name, presented)
		}
		if !known(presented, Identify(token).Key) {
			t.Errorf("%s: %q is another token", name, presented)
		}
	}
}

// issuer is a key with a token that it has signed.
type issuer struct {
	alg    string
	public crypto.PublicKey
	token  string
}

func issuers(t *testing.T) []issuer {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	list := []issuer{{alg: "RS256", public: rsaKey.Public()}, {alg: "ES256", public: ecKey.Public()}, {alg: "EdDSA", public: edPublic}}
	for i, key := range []any{rsaKey, ecKey, edKey} {
		// So long that each segment has spare bits.
		token := jwt.NewWithClaims(jwt.GetSigningMethod(list[i].alg), jwt.MapClaims{"sub": "alice1"})
		token.Header["kid"] = "1"
		list[i].token, err = token.SignedString(key)
		must(err)
	}
	return list
}

func goJoseVerifies(presented string, from issuer) bool {
	object, err := jose.ParseSigned(presented, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(from.alg)})
	if err != nil {
		return false
	}
	_, err = object.Verify(from.public)
	return err == nil
}

func golangJWTVerifies(presented string, from issuer, options ...jwt.ParserOption) bool {
	parsed, err := jwt.Parse(presented, func(*jwt.Token) (any, error) { return from.public, nil }, options...)
	return err == nil && parsed.Valid
}
