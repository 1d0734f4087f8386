package keys

import (
	"crypto/ed25519"
	"errors"
	"testing"
)

// What was signed is accepted, and no other text: an Ed25519 signature has one
// writing only.
func FuzzVerify(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // the same in every process
	signed := sign(f, "EdDSA", key, header("EdDSA", `,"kid":"k"`), `{"iss":"a"}`)
	set := static(f, jwk(f, key, `,"kid":"k"`), jwk(f, private()["RSA"], ""), jwk(f, private()["P-256"], ""))
	f.Add(signed, "", uint(0), uint(0))
	f.Add(signed, "\n", uint(20), uint(0))
	f.Add(signed, "A", uint(len(signed)), uint(1))
	f.Add(encode([]byte(`{"alg":"none"}`))+".e30.", "", uint(0), uint(0))
	f.Add(`{"protected":"","payload":"","signature":""}`, ".", uint(0), uint(0))
	f.Fuzz(func(t *testing.T, text, patch string, at, drop uint) {
		i := int(at % uint(len(text)+1))
		text = text[:i] + patch + text[min(len(text), i+int(drop%4)):]
		_, err := Verify(t.Context(), text, append(Symmetric, Asymmetric...), set)
		if text == signed && err != nil || text != signed && !errors.Is(err, ErrForged) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := VerifyHMAC(text, append(Symmetric, Asymmetric...), nil); !errors.Is(err, ErrForged) {
			t.Errorf("%q without a secret: %v", text, err)
		}
	})
}

// A set that is accepted has keys, and all of them can check signatures.
func FuzzParse(f *testing.F) {
	for _, d := range [][]byte{
		document(jwk(f, private()["P-256"], `,"kid":"k"`), jwk(f, private()["Ed"], "")), document(weak(2048)), document(`{"kty":"oct","k":"AA"}`), []byte("null"), []byte(`{"keys":[[]]}`),
	} {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, d []byte) {
		s, err := Parse(d)
		if err != nil {
			return
		}
		found := 0
		for _, alg := range Asymmetric {
			found += len(s.find("", alg))
		}
		if len(s.keys) == 0 || found < len(s.keys) {
			t.Errorf("%s: %d keys, %d are found", d, len(s.keys), found)
		}
		for i := range s.keys {
			if !s.keys[i].IsPublic() || !s.keys[i].Valid() {
				t.Errorf("%s: %+v", d, s.keys[i])
			}
		}
	})
}
