package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// weak is a public RSA key of so many bits, which nobody can sign with.
func weak(bits int) string {
	n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits))))
	n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
	return fmt.Sprintf(`{"kty":"RSA","e":"AQAB","n":%q}`, encode(n.Bytes()))
}

// exponent is a public RSA key that has one.
func exponent(e string) string { return strings.Replace(weak(2048), "AQAB", e, 1) }

func TestParse(t *testing.T) {
	rsaKey, ec, ed := jwk(t, private()["RSA"], ""), jwk(t, private()["P-256"], ""), jwk(t, private()["Ed"], "")
	kid := func(key string, more string) string { return strings.TrimSuffix(key, "}") + `,"kid":"k"` + more + `}` }
	full := string(must(json.Marshal(jose.JSONWebKey{Key: private()["P-256"]})))
	for name, test := range map[string]struct {
		document string
		keys     int
	}{
		"three":                          {string(document(rsaKey, ec, ed)), 3},
		"other members":                  {`{"x":1,"keys":[` + ec + `],"y":{"keys":[]}}`, 1},
		"unknown kinds":                  {string(document(`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`, `{"kty":"OKP","crv":"Ed448","x":"AA"}`, `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`, `{}`, `{"kty":1}`, ed)), 1},
		"for encryption":                 {string(document(ec, kid(rsaKey, `,"use":"enc"`), kid(rsaKey, `,"alg":"RSA-OAEP"`), kid(rsaKey, `,"key_ops":["encrypt"]`))), 1},
		"malformed":                      {string(document(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, `{"kty":"RSA"}`, `1`, `null`, `{"kty":"RSA","kty":"RSA"}`, ec)), 1},
		"not on its curve":               {string(document(`{"kty":"EC","crv":"P-256","x":"`+encode(make([]byte, 32))+`","y":"`+encode(make([]byte, 32))+`"}`, ec)), 1},
		"alg of another kind":            {string(document(kid(rsaKey, `,"alg":"ES256"`), kid(ec, `,"alg":"ES384"`), ed)), 1},
		"small and large RSA":            {string(document(weak(1024), weak(2047), weak(4097), weak(2048), weak(4096))), 2},
		"exponents that are none":        {string(document(exponent(""), exponent("AQ"), exponent("Ag"), exponent("AQAA"), exponent("_____w"), exponent("Aw"))), 1},
		"key_ops":                        {string(document(kid(ec, `,"key_ops":["sign","verify"]`))), 1},
		"one id, different kinds":        {string(document(kid(rsaKey, ""), kid(ec, ""), kid(ed, ""))), 3},
		"one id, different algorithms":   {string(document(kid(rsaKey, `,"alg":"RS256"`), kid(jwk(t, private()["RSA 2"], ""), `,"alg":"PS256"`))), 2},
		"one key twice":                  {string(document(kid(ec, ""), kid(ec, ""))), 2},
		"no id twice":                    {string(document(ec, jwk(t, private()["P-256 2"], ""))), 2},
		"two keys of one id":             {string(document(kid(ec, ""), kid(jwk(t, private()["P-256 2"], ""), ""))), 0},
		"two of one id, one with an alg": {string(document(kid(rsaKey, `,"alg":"RS256"`), kid(jwk(t, private()["RSA 2"], ""), ""))), 0},

		"private":          {string(document(ec, full)), 0},
		"private RSA":      {string(document(ec, string(must(json.Marshal(jose.JSONWebKey{Key: private()["RSA"]}))))), 0},
		"private Ed":       {string(document(ec, string(must(json.Marshal(jose.JSONWebKey{Key: private()["Ed"]}))))), 0},
		"private, empty":   {string(document(ec, kid(rsaKey, `,"d":""`))), 0},
		"symmetric":        {string(document(ec, `{"kty":"oct","k":"AAAA"}`)), 0},
		"k in another":     {string(document(kid(ec, `,"k":"AAAA"`))), 0},
		"only unusable":    {string(document(weak(1024))), 0},
		"no keys":          {`{"keys":[]}`, 0},
		"keys is missing":  {`{}`, 0},
		"KEYS":             {`{"KEYS":[` + ec + `]}`, 0},
		"keys twice":       {`{"keys":[` + ec + `],"keys":[` + ec + `]}`, 0},
		"a key":            {ec, 0},
		"a list":           {`[` + ec + `]`, 0},
		"empty":            {``, 0},
		"null":             {`null`, 0},
		"not JSON":         {`{"keys":[` + ec + `]`, 0},
		"something behind": {string(document(ec)) + `x`, 0},
		"HTML":             {`<html></html>`, 0},
		"too many":         {string(document(strings.Split(strings.TrimSuffix(strings.Repeat(ec+"|", 101), "|"), "|")...)), 0},
		"too large":        {string(document(ec)) + strings.Repeat(" ", 1<<20), 0},
		"deep":             {`{"keys":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}`, 0},
	} {
		s, err := Parse([]byte(test.document))
		switch {
		case test.keys == 0 && err == nil:
			t.Errorf("%s: %d keys", name, len(s.keys))
		case test.keys != 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.keys != 0 && len(s.keys) != test.keys:
			t.Errorf("%s: %d keys", name, len(s.keys))
		}
	}
}

// What is wrong is said, and no key is.
func TestParseErrors(t *testing.T) {
	secret := encode(must(private()["P-256"].(*ecdsa.PrivateKey).Bytes()))
	full := string(must(json.Marshal(jose.JSONWebKey{Key: private()["P-256"]})))
	for want, doc := range map[string][]byte{
		"keys[1]: a private or symmetric key": document(jwk(t, private()["P-256"], ""), full),
		"RSA keys have 2048 to 4096 bits":     document(weak(1024)),
		`keys[0]: key_ops without "verify"`:   document(jwk(t, private()["P-256"], `,"key_ops":["sign"]`)),
		"not a JWK Set":                       []byte("<html>"),
	} {
		if _, err := Parse(doc); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestFind(t *testing.T) {
	s := static(t,
		jwk(t, private()["RSA"], `,"kid":"a"`), jwk(t, private()["RSA 2"], `,"kid":"b","alg":"PS256"`),
		jwk(t, private()["P-256"], ``), jwk(t, private()["Ed"], `,"kid":"a"`),
	)
	for _, test := range []struct {
		kid, alg string
		found    int
	}{
		{"", "RS256", 1}, {"", "PS256", 2}, {"a", "PS256", 1}, {"b", "PS256", 1}, {"b", "RS256", 0}, {"A", "RS256", 0},
		{"", "ES256", 1}, {"anything", "ES256", 1}, {"", "ES384", 0}, {"a", "EdDSA", 1}, {"a", "Ed25519", 1}, {"", "HS256", 0}, {"", "none", 0}, {"", "", 0},
	} {
		if found, err := s.Find(t.Context(), test.kid, test.alg); err != nil || len(found) != test.found {
			t.Errorf("%q %s: %d keys, %v", test.kid, test.alg, len(found), err)
		}
	}
}

// certificate makes a self-signed certificate of a key.
func certificate(t testing.TB, key any, serial int64) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "client"}, NotAfter: time.Now().Add(time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.(crypto.Signer).Public(), key))
	return must(x509.ParseCertificate(der))
}

// A certificate is held if it is the very one, and not for its key.
func TestHolds(t *testing.T) {
	key := private()["RSA"].(*rsa.PrivateKey)
	mine, later, other := certificate(t, key, 1), certificate(t, key, 2), certificate(t, private()["P-256"], 3)
	digest := sha256.Sum256(mine.Raw)
	thumbprint := `,"x5t#S256":"` + encode(digest[:]) + `"`
	chain := func(list ...*x509.Certificate) string {
		var texts []string
		for _, c := range list {
			texts = append(texts, `"`+base64.StdEncoding.EncodeToString(c.Raw)+`"`)
		}
		return `,"x5c":[` + strings.Join(texts, ",") + `]`
	}
	for name, test := range map[string]struct {
		more string
		held bool
	}{
		"x5c": {chain(mine), true}, "x5c with its chain": {chain(mine, other), true}, "x5t#S256": {thumbprint, true}, "both": {chain(mine) + thumbprint, true},
		"the key only": {"", false}, "another of the key": {chain(later), false}, "further up in the chain": {chain(later, mine), false},
	} {
		s := static(t, jwk(t, key, test.more))
		if held, err := s.Holds(t.Context(), mine); err != nil || held != test.held {
			t.Errorf("%s: %v %v", name, held, err)
		}
		if held, _ := s.Holds(t.Context(), other); held {
			t.Errorf("%s holds another", name)
		}
	}
	for name, more := range map[string]string{"x5c of another key": chain(other), "x5t#S256 of another": chain(later) + thumbprint, "not base64": `,"x5c":["!"]`} {
		if _, err := Parse(document(jwk(t, key, more))); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
