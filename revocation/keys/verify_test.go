package keys

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// private are some private keys of each kind and size.
var private = sync.OnceValue(func() map[string]any {
	list := map[string]any{}
	for _, name := range []string{"", " 2"} {
		list["RSA"+name] = must(rsa.GenerateKey(rand.Reader, 2048))
		list["P-256"+name] = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		_, list["Ed"+name], _ = ed25519.GenerateKey(rand.Reader)
	}
	list["P-384"] = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	list["P-521"] = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	return list
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// kinds is the kind of key of each algorithm.
var kinds = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed", "Ed25519": "Ed",
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign signs with another library than the one that verifies.
func sign(t testing.TB, alg string, key any, header, payload string) string {
	t.Helper()
	if alg == "Ed25519" {
		alg = "EdDSA"
	}
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := jwt.GetSigningMethod(alg).Sign(input, key)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(signature)
}

// jwk is the public key of a private one, as it is published, with members of
// its own.
func jwk(t testing.TB, key any, more string) string {
	t.Helper()
	k := jose.JSONWebKey{Key: key}
	k = k.Public()
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "}") + more + "}"
}

func document(keys ...string) []byte {
	return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

func static(t testing.TB, keys ...string) *Static {
	t.Helper()
	s, err := Parse(document(keys...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func header(alg, more string) string { return fmt.Sprintf(`{"alg":%q%s}`, alg, more) }

// Every algorithm verifies what another library has signed, with its own kind of
// key only, and where it is allowed only.
func TestVerifyEveryAlgorithm(t *testing.T) {
	ctx := context.Background()
	if len(kinds) != len(Asymmetric) {
		t.Fatal("not every algorithm is tested")
	}
	for _, alg := range Asymmetric {
		key := private()[kinds[alg]]
		signed := sign(t, alg, key, header(alg, `,"kid":"k","typ":"JWT"`), "payload")
		right := static(t, jwk(t, key, `,"kid":"k"`))
		token, err := Verify(ctx, signed, Asymmetric, right)
		if err != nil || token.Alg != alg || token.Kid != "k" || token.Typ != "JWT" || token.Foreign || string(token.Payload) != "payload" {
			t.Errorf("%s: %+v %v", alg, token, err)
		}
		for name, set := range map[string]Set{
			"own alg":      static(t, jwk(t, key, `,"alg":"`+alg+`","use":"sig","key_ops":["verify"]`)),
			"among others": static(t, jwk(t, private()["RSA 2"], ""), jwk(t, private()["P-256 2"], ""), jwk(t, private()["Ed 2"], ""), jwk(t, key, "")),
		} {
			if _, err := Verify(ctx, signed, []string{alg}, set); err != nil {
				t.Errorf("%s with %s: %v", alg, name, err)
			}
		}
		others := []string{jwk(t, private()["RSA 2"], ""), jwk(t, private()["P-256 2"], ""), jwk(t, private()["Ed 2"], ""), jwk(t, key, `,"kid":"other"`)}
		for _, other := range Asymmetric {
			if other != alg {
				others = append(others, jwk(t, key, `,"alg":"`+other+`"`))
				if kinds[other] != kinds[alg] {
					others = append(others, jwk(t, private()[kinds[other]], ""))
				}
			}
		}
		for _, other := range others {
			s, err := Parse(document(other))
			if err != nil { // a key of another algorithm that it cannot have
				continue
			}
			if token, err := Verify(ctx, signed, Asymmetric, s); !errors.Is(err, ErrForged) {
				t.Errorf("%s with %s: %+v %v", alg, other, token, err)
			}
		}
		if _, err := Verify(ctx, signed, slices.DeleteFunc(slices.Clone(Asymmetric), func(a string) bool { return a == alg }), untouched{t}); !errors.Is(err, ErrForged) {
			t.Errorf("%s is not allowed, and: %v", alg, err)
		}
		if _, err := VerifyHMAC(signed, append(Asymmetric, Symmetric...), []byte(strings.Repeat("x", 64))); !errors.Is(err, ErrForged) {
			t.Errorf("%s as HMAC: %v", alg, err)
		}
		// The header is signed too.
		_, rest, _ := strings.Cut(signed, ".")
		if _, err := Verify(ctx, encode([]byte(header(alg, `,"typ":"x"`)))+"."+rest, Asymmetric, right); !errors.Is(err, ErrForged) {
			t.Errorf("%s with another header: %v", alg, err)
		}
	}
}

// untouched is a set that nobody may ask.
type untouched struct{ t *testing.T }

func (u untouched) Find(_ context.Context, kid, alg string) ([]jose.JSONWebKey, error) {
	u.t.Errorf("asked for a key %q of %s", kid, alg)
	return nil, ErrUnavailable
}

// What can be refused without a key is refused without asking for one.
func TestVerifyRefuses(t *testing.T) {
	key, hmacKey := private()["P-256"], []byte(strings.Repeat("s", 64))
	public := must(x509.MarshalPKIXPublicKey(&key.(*ecdsa.PrivateKey).PublicKey))
	good := sign(t, "ES256", key, header("ES256", ""), "payload")
	head, rest, _ := strings.Cut(good, ".")
	payload, mac, _ := strings.Cut(rest, ".")
	with := func(h string) string { return sign(t, "ES256", key, h, "payload") }
	for name, compact := range map[string]string{
		"nothing":             "",
		"two segments":        head + "." + payload,
		"four segments":       good + ".",
		"five segments":       good + ".x.x",
		"no signature":        head + "." + payload + ".",
		"JSON serialization":  fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, head, payload, mac),
		"a space":             good + " ",
		"a line break":        head + "." + payload[:4] + "\n" + payload[4:] + "." + mac,
		"a break in the end":  good[:len(good)-4] + "\r\n" + good[len(good)-4:],
		"padding":             good + "==",
		"the other alphabet":  head + "." + payload + "." + strings.NewReplacer("-", "+", "_", "/").Replace(mac+"-"),
		"spare bits":          head + "." + payload[:len(payload)-1] + string(payload[len(payload)-1]+1) + "." + mac,
		"no header":           "." + rest,
		"null header":         encode([]byte("null")) + "." + rest,
		"header not JSON":     encode([]byte("{")) + "." + rest,
		"header not object":   encode([]byte(`["ES256"]`)) + "." + rest,
		"none":                encode([]byte(header("none", ""))) + "." + payload + ".",
		"None":                with(header("None", "")),
		"none with signature": with(header("none", "")),
		"no alg":              with(`{"typ":"JWT"}`),
		"ALG":                 with(`{"ALG":"ES256"}`),
		"alg twice":           with(`{"alg":"ES256","alg":"ES256"}`),
		"alg in small":        with(header("es256", "")),
		"alg a number":        with(`{"alg":256}`),
		"alg null":            with(`{"alg":null}`),
		"unknown alg":         with(header("ES256K", "")),
		"kid a number":        with(header("ES256", `,"kid":1`)),
		"typ a list":          with(header("ES256", `,"typ":["JWT"]`)),
		"crit":                with(header("ES256", `,"crit":["x"],"x":1`)),
		"crit exp":            with(header("ES256", `,"crit":["exp"],"exp":1`)),
		"crit b64":            with(header("ES256", `,"crit":["b64"],"b64":true`)),
		"crit empty":          with(header("ES256", `,"crit":[]`)),
		"crit null":           with(header("ES256", `,"crit":null`)),
		"b64":                 with(header("ES256", `,"b64":false`)),
		"private jwk":         with(header("ES256", `,"jwk":{"kty":"oct","k":"AAAA"}`)),
		"HS256 by public key": sign(t, "HS256", public, header("HS256", ""), "payload"),
		"HS256 by PEM":        sign(t, "HS256", []byte("-----BEGIN PUBLIC KEY-----"), header("HS256", ""), "payload"),
		"HS256":               sign(t, "HS256", hmacKey, header("HS256", ""), "payload"),
		"HS512":               sign(t, "HS512", hmacKey, header("HS512", ""), "payload"),
	} {
		if token, err := Verify(t.Context(), compact, append(Symmetric, Asymmetric...), untouchedUnless(t, name == "no signature")); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %+v %v", name, token, err)
		}
	}
}

func untouchedUnless(t *testing.T, asked bool) Set {
	if asked {
		return static(t, jwk(t, private()["P-256"], ""))
	}
	return untouched{t}
}

// A key that the token brings or names is not used, and said to be there.
func TestVerifyForeignKeys(t *testing.T) {
	key, other := private()["P-256"], private()["P-256 2"]
	mine := static(t, jwk(t, key, ""))
	for _, more := range []string{`,"jwk":` + jwk(t, other, ""), `,"jku":"http://127.0.0.1:1/"`, `,"x5u":"http://127.0.0.1:1/"`, `,"jwk":` + jwk(t, other, "") + `,"kid":"x"`} {
		if _, err := Verify(t.Context(), sign(t, "ES256", other, header("ES256", more), "p"), Asymmetric, mine); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", more, err)
		}
		if token, err := Verify(t.Context(), sign(t, "ES256", key, header("ES256", more), "p"), Asymmetric, mine); err != nil || !token.Foreign {
			t.Errorf("%s: %+v %v", more, token, err)
		}
	}
}

func TestVerifyHMAC(t *testing.T) {
	secret := strings.Repeat("s", 64)
	for i, alg := range Symmetric {
		need := []int{32, 48, 64}[i]
		signed := sign(t, alg, []byte(secret), header(alg, ""), "payload")
		if token, err := VerifyHMAC(signed, Symmetric, []byte(secret)); err != nil || token.Alg != alg || string(token.Payload) != "payload" {
			t.Errorf("%s: %+v %v", alg, token, err)
		}
		short := []byte(secret[:need-1])
		if _, err := VerifyHMAC(sign(t, alg, short, header(alg, ""), "payload"), Symmetric, short); !errors.Is(err, ErrForged) {
			t.Errorf("%s with a short secret: %v", alg, err)
		}
		if _, err := VerifyHMAC(sign(t, alg, []byte(secret[:need]), header(alg, ""), "payload"), Symmetric, []byte(secret[:need])); err != nil {
			t.Errorf("%s with a secret of %d bytes: %v", alg, need, err)
		}
		for name, err := range map[string]error{
			"wrong secret":      second(VerifyHMAC(signed, Symmetric, []byte(strings.Repeat("t", 64)))),
			"no secret":         second(VerifyHMAC(signed, Symmetric, nil)),
			"not allowed":       second(VerifyHMAC(signed, []string{"none"}, []byte(secret))),
			"nothing allowed":   second(VerifyHMAC(signed, nil, []byte(secret))),
			"another signature": second(VerifyHMAC(signed[:len(signed)-2], Symmetric, []byte(secret))),
		} {
			if !errors.Is(err, ErrForged) {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Nothing of a token stands in an error.
func TestVerifyTellsNothing(t *testing.T) {
	for _, compact := range []string{
		"s3cret", sign(t, "HS256", []byte("k"), header("s3cret", ""), "s3cret"),
		sign(t, "ES256", private()["P-256"], header("ES256", `,"kid":"s3cret","jwk":{"s3cret":1}`), "s3cret"),
		sign(t, "ES256", private()["P-256"], header("ES256", `,"kid":"s3cret"`), "s3cret"),
	} {
		_, err := Verify(t.Context(), compact, Asymmetric, static(t, jwk(t, private()["P-256 2"], "")))
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Error(err)
		}
	}
}
