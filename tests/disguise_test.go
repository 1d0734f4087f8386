package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	golangjwt "github.com/golang-jwt/jwt/v5"
)

// issuer signs or encrypts real tokens, and says whether two widely used
// libraries accept what is made of them.
type issuer struct {
	name   string
	issue  func() string
	goJOSE func(token string) bool
	jwt    func(token string) bool // nil where golang-jwt knows no such tokens
	twin   bool                    // whether its signatures have one
}

// claims have a length that leaves spare bits in their last character.
func claims() []byte {
	for text := randomToken(); ; text += "x" {
		b, _ := json.Marshal(map[string]any{"sub": text, "exp": time.Now().Add(time.Hour).Unix(), "iss": "https://idp.example.com"})
		if len(b)%3 == 1 {
			return b
		}
	}
}

func signer(t *testing.T, alg jose.SignatureAlgorithm, private, public any) issuer {
	t.Helper()
	var s jose.Signer
	for id := "k"; ; id += "k" { // until the header has spare bits in its last character too
		var err error
		s, err = jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: private}, (&jose.SignerOptions{}).WithHeader("kid", id).WithType("JWT"))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(nil)
		if err != nil {
			t.Fatal(err)
		}
		compact, _ := signed.CompactSerialize()
		if strings.IndexByte(compact, '.')%4 == 2 {
			break
		}
	}
	return issuer{
		name: string(alg),
		issue: func() string {
			signed, err := s.Sign(claims())
			if err != nil {
				t.Fatal(err)
			}
			compact, err := signed.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return compact
		},
		goJOSE: func(token string) bool {
			signed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{alg})
			if err != nil {
				return false
			}
			_, _, _, err = signed.VerifyMulti(public)
			return err == nil
		},
		jwt: func(token string) bool {
			_, err := golangjwt.Parse(token, func(*golangjwt.Token) (any, error) { return public, nil }, golangjwt.WithValidMethods([]string{string(alg)}))
			return err == nil
		},
		twin: alg == jose.ES256,
	}
}

func encrypter(t *testing.T, alg jose.KeyAlgorithm, enc jose.ContentEncryption, public, private any) issuer {
	t.Helper()
	e, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{
		name: fmt.Sprintf("%s %s", alg, enc),
		issue: func() string {
			encrypted, err := e.Encrypt(claims())
			if err != nil {
				t.Fatal(err)
			}
			compact, err := encrypted.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return compact
		},
		goJOSE: func(token string) bool {
			encrypted, err := jose.ParseEncrypted(token, []jose.KeyAlgorithm{alg}, []jose.ContentEncryption{enc})
			if err != nil {
				return false
			}
			_, _, _, err = encrypted.DecryptMulti(private)
			return err == nil
		},
	}
}

// accepted says which of the libraries accept a disguise.
type accepted uint8

const (
	byGoJOSE accepted = 1 << iota
	byJWT
	byNobody accepted = 0
)

func (i issuer) accepts(token string) accepted {
	var a accepted
	if i.goJOSE(token) {
		a |= byGoJOSE
	}
	if i.jwt != nil && i.jwt(token) {
		a |= byJWT
	}
	return a
}

// disguise writes a token in another way.
type disguise struct {
	name string
	make func(token string) string // empty where it does not apply
	by   accepted                  // those who accept it all the same
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// segment changes one segment of a token.
func segment(n int, change func(string) string) func(string) string {
	return func(token string) string {
		parts := strings.Split(token, ".")
		changed := change(parts[n])
		if changed == "" {
			return ""
		}
		parts[n] = changed
		return strings.Join(parts, ".")
	}
}

// spareBits sets the bits that the last character has beyond the last byte.
func spareBits(s string) string {
	if len(s)%4 == 0 {
		return ""
	}
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + alphabet[last^1:][:1]
}

// within puts something into the middle of a text.
func within(what string) func(string) string {
	return func(s string) string { return s[:len(s)/2] + what + s[len(s)/2:] }
}

// twin replaces an ECDSA signature (r, s) by (r, n-s).
func twin(signature string) string {
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(raw) != 64 {
		return ""
	}
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
	return base64.RawURLEncoding.EncodeToString(raw)
}

func otherAlphabet(s string) string {
	changed := strings.NewReplacer("-", "+", "_", "/").Replace(s)
	if changed == s {
		return ""
	}
	return changed
}

func padded(s string) string {
	if len(s)%4 == 0 {
		return ""
	}
	return s + strings.Repeat("=", 4-len(s)%4)
}

func behindPadding(s string) string {
	if len(s)%4 == 0 {
		return ""
	}
	return padded(s) + "AAAA"
}

// serialized writes a compact token in JSON; the verbs take header, payload and
// signature of a JWS, or the five segments of a JWE.
func serialized(format string) func(string) string {
	return func(token string) string {
		var segments []any
		for s := range strings.SplitSeq(token, ".") {
			segments = append(segments, s)
		}
		return fmt.Sprintf(format, segments...)
	}
}

// decoyed is serialized, with another header of the same algorithm as %[4]s.
func decoyed(format string) func(string) string {
	return func(token string) string {
		var header map[string]any
		first, rest, _ := strings.Cut(token, ".")
		b, _ := base64.RawURLEncoding.DecodeString(first)
		_ = json.Unmarshal(b, &header)
		header["decoy"] = true
		b, _ = json.Marshal(header)
		return serialized(format)(first + "." + rest + "." + base64.RawURLEncoding.EncodeToString(b))
	}
}

// signedDisguises are those of a JWS.
var signedDisguises = []disguise{
	{"spare bits in the signature", segment(2, spareBits), byGoJOSE | byJWT},
	{"spare bits in the payload", segment(1, spareBits), byGoJOSE},
	{"spare bits in the header", segment(0, spareBits), byGoJOSE},
	{"line break in the signature", segment(2, within("\n")), byGoJOSE | byJWT},
	{"line break in the payload", segment(1, within("\r\n")), byGoJOSE},
	{"line break in the header", segment(0, within("\r\n")), byGoJOSE},
	{"space in the signature", segment(2, within(" ")), byGoJOSE},
	{"NBSP in the payload", segment(1, within("\u00a0")), byGoJOSE},
	{"NBSP in the header", segment(0, within("\u00a0")), byGoJOSE},
	{"NBSP around", func(s string) string { return "\u00a0" + s + "\u00a0" }, byGoJOSE},
	{"white space around", func(s string) string { return "\t\n " + s + "\r\n" }, byGoJOSE},
	{"tab and line break before each dot", func(s string) string { return strings.ReplaceAll(s, ".", "\t\n.") }, byGoJOSE},
	{"padding behind the signature", segment(2, padded), byNobody},
	{"padding behind the payload", segment(1, padded), byNobody},
	{"padding behind the header", segment(0, padded), byNobody},
	{"other alphabet in the signature", segment(2, otherAlphabet), byNobody},
	{"other characters in the payload", segment(1, within("!")), byNobody},
	{"another signature", segment(2, func(s string) string { return strings.ToUpper(s) }), byNobody},
	{"no signature", segment(2, func(s string) string { return "\x00" }), byNobody},
	{"further segments", func(s string) string { return s + ".x.y" }, byNobody},
	{"flattened", serialized(`{"protected":"%s","payload":"%s","signature":"%s"}`), byGoJOSE},
	{"flattened in other order, with spaces", serialized("{ \"signature\" :\n\t\"%[3]s\", \"payload\": \"%[2]s\",\r\n\"protected\":\"%[1]s\" }"), byGoJOSE},
	{"flattened with escapes", func(s string) string {
		return strings.ReplaceAll(serialized(`{"protected":"%s","payload":"%s","signature":"%s"}`)(s), "J", `\u004a`)
	}, byGoJOSE},
	{"flattened with escaped names", serialized(`{"\u0070rotected":"%s","p\u0061yload":"%s","signature":"%s"}`), byGoJOSE},
	{"flattened with other members", serialized(`{"x":[{"payload":1}],"header":{"y":"z"},"protected":"%s","payload":"%s","signature":"%s"}`), byGoJOSE},
	{"flattened with white space around", func(s string) string {
		return "\r\n" + serialized(`{"protected":"%s","payload":"%s","signature":"%s"}`)(s) + " "
	}, byGoJOSE},
	{"flattened with spare bits", func(s string) string {
		return serialized(`{"protected":"%s","payload":"%s","signature":"%s"}`)(segment(1, spareBits)(s))
	}, byGoJOSE},
	{"general", serialized(`{"payload":"%[2]s","signatures":[{"protected":"%[1]s","signature":"%[3]s"}]}`), byGoJOSE},
	{"general with a decoy before", decoyed(`{"payload":"%[2]s","signatures":[{"protected":"%[4]s","signature":"AAAA"},{"protected":"%[1]s","signature":"%[3]s"}]}`), byGoJOSE},
	{"general with a decoy behind", decoyed(`{"payload":"%[2]s","signatures":[{"protected":"%[1]s","signature":"%[3]s"},{"protected":"%[4]s","signature":"AAAA"}]}`), byGoJOSE},
	{"general in flattened", serialized(`{"payload":"%[2]s","protected":"eyJhbGciOiJFUzI1NiJ9","signature":"AAAA","signatures":[{"protected":"%[1]s","signature":"%[3]s"}]}`), byGoJOSE},
	{"flattened with white space in a name", serialized("{\"pro tected\":\"%s\",\"pay\u00a0load\":\"%s\",\"signature\":\"%s\"}"), byNobody}, // but by go-jose 3
	{"flattened with NBSP between", serialized("{\u00a0\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}"), byNobody},           // but by go-jose 3
	{"flattened with names in other case", serialized(`{"Protected":"%s","PAYLOAD":"%s","signature":"%s"}`), byNobody},                      // but by jwx
	// What follows is accepted by jwcrypto, which decodes with Python's base64
	// and encodes anew before it verifies.
	{"other characters in the header", segment(0, within("@[^`")), byNobody},
	{"more characters in the payload", segment(1, within(":;<>?]\\|~{}$%&'*()")), byNobody},
	{"characters behind padding in the header", segment(0, behindPadding), byNobody},
	{"characters behind padding in the payload", segment(1, behindPadding), byNobody},
	{"flattened with a number that is none", serialized(`{"protected":"%s","payload":"%s","signature":"%s","x":NaN}`), byNobody},
	{"flattened with characters behind padding", func(s string) string {
		return serialized(`{"protected":"%s","payload":"%s","signature":"%s"}`)(segment(0, behindPadding)(s))
	}, byNobody},
	{"payload twice", serialized(`{"payload":"eyJ9","protected":"%s","payload":"%s","signature":"%s"}`), byNobody},
	{"payload twice in other order", serialized(`{"protected":"%s","payload":"%s","payload":"eyJ9","signature":"%s"}`), byNobody},
}

// encryptedDisguises are those of a JWE.
var encryptedDisguises = []disguise{
	{"spare bits in the tag", segment(4, spareBits), byGoJOSE},
	{"spare bits in the ciphertext", segment(3, spareBits), byGoJOSE},
	{"spare bits in the header", segment(0, spareBits), byGoJOSE},
	{"line break in the tag", segment(4, within("\n")), byGoJOSE},
	{"line break in the header", segment(0, within("\r\n")), byGoJOSE},
	{"NBSP in the ciphertext", segment(3, within("\u00a0")), byGoJOSE},
	{"space around", func(s string) string { return " " + s + "\u00a0" }, byGoJOSE},
	{"padding behind the tag", segment(4, padded), byNobody},
	{"other alphabet in the ciphertext", segment(3, otherAlphabet), byNobody},
	{"other characters in the header", segment(0, within("@[^`")), byNobody},
	{"characters behind padding in the header", segment(0, behindPadding), byNobody},
	{"characters behind padding in the ciphertext", segment(3, behindPadding), byNobody},
	{"another tag", segment(4, func(s string) string { return s + "AAAA" }), byNobody},
	{"flattened", serialized(`{"protected":"%s","encrypted_key":"%s","iv":"%s","ciphertext":"%s","tag":"%s"}`), byGoJOSE},
	{"flattened with spaces and other members", serialized(`{ "x":{}, "tag": "%[5]s", "ciphertext": "%[4]s", "iv": "%[3]s", "encrypted_key": "%[2]s", "protected" : "%[1]s" }`), byGoJOSE},
	{"general", serialized(`{"protected":"%s","recipients":[{"encrypted_key":"%s"}],"iv":"%s","ciphertext":"%s","tag":"%s"}`), byGoJOSE},
	{"ciphertext twice", serialized(`{"protected":"%s","encrypted_key":"%s","iv":"%s","ciphertext":"AAAA","ciphertext":"%s","tag":"%s"}`), byNobody},
}

// notTheSame are disguises that change what is encrypted, so that nobody could
// accept them, and that the gate need not know.
var notTheSame = map[string]bool{"another tag": true}

func TestDisguises(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	c := start(t, everywhere, up)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	for _, i := range []issuer{
		signer(t, jose.RS256, rsaKey, rsaKey.Public()),
		signer(t, jose.ES256, ecKey, ecKey.Public()),
		signer(t, jose.EdDSA, edKey, crypto.PublicKey(edPublic)),
		encrypter(t, jose.DIRECT, jose.A256GCM, secret, secret),
		encrypter(t, jose.DIRECT, jose.A128CBC_HS256, secret, secret),
		encrypter(t, jose.RSA_OAEP, jose.A256GCM, rsaKey.Public(), rsaKey),
	} {
		t.Run(i.name, func(t *testing.T) {
			disguises := encryptedDisguises
			switch {
			case i.twin:
				disguises = append(signedDisguises,
					disguise{"twin", segment(2, twin), byGoJOSE | byJWT},
					disguise{"twin, flattened", func(s string) string { return signedDisguise("flattened")(segment(2, twin)(s)) }, byGoJOSE})
			case i.jwt != nil:
				disguises = signedDisguises
			case strings.HasPrefix(i.name, "RSA"):
				disguises = append(disguises, disguise{"spare bits in the encrypted key", segment(1, spareBits), byGoJOSE})
			default:
				disguises = append(disguises, disguise{"an encrypted key that nobody needs", segment(1, func(string) string { return "AAAA" }), byGoJOSE})
			}
			for _, d := range disguises {
				if !notTheSame[d.name] {
					t.Run(d.name, func(t *testing.T) { wear(t, c, up, i, d) })
				}
			}
		})
	}
}

func signedDisguise(name string) func(string) string {
	for _, d := range signedDisguises {
		if d.name == name {
			return d.make
		}
	}
	panic(name)
}

// wear asserts that a token and its disguise are refused together, whichever of
// them was revoked, and that the token's neighbours are not.
func wear(t *testing.T, c *caddy, up *upstream, i issuer, d disguise) {
	worn := 0
	for range 50 {
		token := i.issue()
		disguised := d.make(token)
		if disguised == "" || disguised == token {
			continue // such bits or characters are not in every token
		}
		if worn++; worn > 2 {
			break
		}
		if got := i.accepts(disguised); got != d.by {
			t.Errorf("accepted by %b, not %b, as %.60q", got, d.by, disguised)
		}
		revoked, sent := token, disguised
		if worn == 2 {
			revoked, sent = disguised, token
		}
		a := c.post(t, url.Values{"token": {revoked}}, "backend", "backend-secret")
		if a.status == http.StatusBadRequest && strings.Contains(a.body, "more than one way") {
			continue // and so never a success
		}
		if a.status != http.StatusOK {
			t.Fatalf("revoking: %d %s", a.status, a.body)
		}
		// 400 where a token can be read in more ways than one, or stands where
		// nothing like it may.
		for place, put := range ways(sent) {
			before := up.reached.Load()
			r, err := http.NewRequest(http.MethodGet, c.url+"/api", nil)
			if err != nil {
				t.Fatal(err)
			}
			put(r)
			a := do(t, r)
			if a.status != http.StatusUnauthorized && a.status != http.StatusBadRequest || up.reached.Load() != before {
				t.Errorf("%s: %d, sent %q", place, a.status, sent)
			}
		}
		if a := c.bearer(t, i.issue()); a.status != http.StatusOK {
			t.Errorf("another token: %d %s", a.status, a.body)
		}
	}
	if worn == 0 {
		t.Fatal("no token could be disguised")
	}
}

// ways are those in which a text can be sent as it stands.
func ways(token string) map[string]func(*http.Request) {
	escaped := url.QueryEscape(token)
	m := map[string]func(*http.Request){
		"query":  func(r *http.Request) { r.URL.RawQuery = "access_token=" + escaped },
		"cookie": headersOf("Cookie", "session="+strings.ReplaceAll(escaped, "+", "%20")),
		"form":   func(r *http.Request) { post(r, urlencodedType, "access_token="+escaped) },
	}
	if !strings.ContainsAny(token, "\r\n\x00") {
		m["Authorization"] = headersOf("Authorization", "Bearer "+token)
		m["header"] = headersOf("X-Token", token)
	}
	return m
}
