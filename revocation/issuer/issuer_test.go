package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

const issuerURL = "https://idp.example/realm"

var t0 = time.Unix(1_700_000_000, 0)

type clock struct{ elapsed atomic.Int64 }

func (c *clock) now() time.Time       { return t0.Add(time.Duration(c.elapsed.Load())) }
func (c *clock) move(d time.Duration) { c.elapsed.Add(int64(d)) }

// signer signs with one key.
type signer struct {
	t   *testing.T
	kid string
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, kid, key}
}

// sign makes a token. The header's members are added to alg and kid.
func (s signer) sign(payload string, header ...any) string {
	s.t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for i := 0; i < len(header); i += 2 {
		options.ExtraHeaders[jose.HeaderKey(header[i].(string))] = header[i+1]
	}
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: s.kid}}, options)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := made.Sign([]byte(payload))
	if err != nil {
		s.t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return compact
}

// document is the JWK Set of some signers.
func document(signers ...signer) []byte {
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Use: "sig", Algorithm: "ES256"})
	}
	b, _ := json.Marshal(set)
	return b
}

// claims are those of a token of the issuer that ends in an hour, and more.
func claims(more string) string {
	return fmt.Sprintf(`{"iss":"%s","exp":%d%s}`, issuerURL, t0.Add(time.Hour).Unix(), more)
}

func knowing(t *testing.T, s signer, change func(*Config)) *Issuer {
	t.Helper()
	set, err := keys.Parse(document(s))
	if err != nil {
		t.Fatal(err)
	}
	c := Config{URL: issuerURL, Keys: set, Leeway: time.Minute, Now: new(clock).now}
	if change != nil {
		change(&c)
	}
	i, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestFacts(t *testing.T) {
	s := newSigner(t, "1")
	end := t0.Add(time.Hour)
	at := func(f endpoint.Facts) endpoint.Facts {
		f.Active, f.Issuer = true, issuerURL
		if f.Expires.IsZero() {
			f.Expires = end
		}
		return f
	}
	for _, test := range []struct {
		payload string
		header  []any
		want    endpoint.Facts
	}{
		{payload: claims(``), want: at(endpoint.Facts{})},
		{payload: claims(`,"client_id":"a","sid":"s"`), want: at(endpoint.Facts{Client: "a", Session: "s"})},
		{payload: claims(`,"appid":"d","cid":"c","azp":"b","client_id":"a"`), want: at(endpoint.Facts{Client: "a"})},
		{payload: claims(`,"appid":"d","cid":"c","azp":"b"`), want: at(endpoint.Facts{Client: "b"})},
		{payload: claims(`,"appid":"d","cid":"c"`), want: at(endpoint.Facts{Client: "c"})},
		{payload: claims(`,"appid":"d"`), want: at(endpoint.Facts{Client: "d"})},
		{payload: claims(`,"client_id":null,"azp":"b"`), want: at(endpoint.Facts{Client: "b"})},
		{payload: claims(`,"client_id":7,"sid":42`), want: at(endpoint.Facts{Client: "7", Session: "42"})},
		{payload: claims(`,"Client_ID":"a","SID":"s"`), want: at(endpoint.Facts{})},
		{payload: claims(`,"sid":null`), want: at(endpoint.Facts{})},
		{payload: claims(`,"sid":["s"]`), want: at(endpoint.Facts{})},
		{payload: claims(`,"aud":"x"`), want: at(endpoint.Facts{})},
		{payload: claims(`,"typ":"Refresh"`), want: at(endpoint.Facts{Refresh: true})},
		{payload: claims(``), header: []any{"typ", "rt+jwt"}, want: at(endpoint.Facts{Refresh: true})},
		{payload: claims(`,"typ":"Bearer"`), header: []any{"typ", "at+jwt"}, want: at(endpoint.Facts{})},
		// It will be accepted, and so has to be revocable.
		{payload: claims(`,"nbf":32503680000`), want: at(endpoint.Facts{})},
		// Its end is past, but not for everybody; or not for any reader.
		{payload: `{"iss":"` + issuerURL + `","exp":1699999941}`, want: at(endpoint.Facts{Expires: time.Unix(1699999941, 0)})},
		{payload: `{"iss":"` + issuerURL + `","exp":"1000000000"}`, want: at(endpoint.Facts{Expires: time.Unix(1000000000, 0)})},
	} {
		got, known, err := knowing(t, s, nil).Judge(t.Context(), s.sign(test.payload, test.header...))
		if err != nil || !known || got != test.want {
			t.Errorf("%s: %+v %t %v, want %+v", test.payload, got, known, err, test.want)
		}
	}
	got, _, err := knowing(t, s, nil).Judge(t.Context(), s.sign(`{"iss":"`+issuerURL+`"}`))
	if err != nil || !got.Active || !got.Expires.IsZero() {
		t.Errorf("a token without end: %+v %v", got, err)
	}
}

func TestConfigured(t *testing.T) {
	s := newSigner(t, "1")
	i := knowing(t, s, func(c *Config) {
		c.Audiences, c.ClientClaims, c.SessionClaim = []string{"api", "other"}, []string{"app"}, "session_state"
	})
	for payload, want := range map[string]endpoint.Facts{
		claims(`,"aud":"api","app":"a","client_id":"b","session_state":"s","sid":"t"`): {Active: true, Client: "a", Session: "s"},
		claims(`,"aud":["x","other"]`):                       {Active: true},
		claims(`,"aud":["x","y"]`):                           {Ended: true},
		claims(`,"aud":"API"`):                               {Ended: true},
		claims(`,"aud":{"api":1}`):                           {Ended: true},
		claims(``):                                           {Ended: true},
		claims(`,"aud":"` + issuerURL + `"`):                 {Ended: true},
		claims(`,"aud":"` + issuerURL + `","typ":"Refresh"`): {Active: true, Refresh: true}, // it is for the issuer
	} {
		if want.Active {
			want.Issuer, want.Expires = issuerURL, t0.Add(time.Hour)
		}
		if got, known, err := i.Judge(t.Context(), s.sign(payload)); err != nil || !known || got != want {
			t.Errorf("%s: %+v %t %v, want %+v", payload, got, known, err, want)
		}
	}
}

// What the issuer has not signed, or not for now, is nothing.
func TestNotActive(t *testing.T) {
	s, other := newSigner(t, "1"), newSigner(t, "1")
	encode := base64.RawURLEncoding.EncodeToString
	good := s.sign(claims(`,"sub":"me"`))
	parts := strings.Split(good, ".")
	ended := func(ago time.Duration) string {
		return fmt.Sprintf(`{"iss":"%s","exp":%d}`, issuerURL, t0.Add(-ago).Unix())
	}
	for name, token := range map[string]string{
		"another key":          other.sign(claims(``)),
		"another kid":          signer{t, "2", s.key}.sign(claims(``)),
		"another payload":      parts[0] + "." + encode([]byte(claims(`,"sub":"you"`))) + "." + parts[2],
		"no signature":         parts[0] + "." + parts[1] + ".",
		"none":                 encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"another header":       encode([]byte(`{"alg":"ES256"}`)) + "." + parts[1] + "." + parts[2],
		"crit":                 s.sign(claims(``), "crit", []string{"x"}, "x", "y"),
		"another issuer":       s.sign(strings.Replace(claims(``), issuerURL, issuerURL+"/", 1)),
		"an issuer as list":    s.sign(`{"iss":["` + issuerURL + `"]}`),
		"no issuer":            s.sign(`{"exp":1800000000}`),
		"ended":                s.sign(ended(time.Minute)),
		"ended long ago":       s.sign(ended(time.Hour)),
		"ended, and not valid": s.sign(fmt.Sprintf(`{"iss":"%s","exp":%d,"nbf":32503680000}`, issuerURL, t0.Unix()-60)),
		"no token":             "17|alpha",
	} {
		if got, known, err := knowing(t, s, nil).Judge(t.Context(), token); err != nil || !known || got != (endpoint.Facts{}) {
			t.Errorf("%s: %+v %t %v", name, got, known, err)
		}
	}
	if got, _, err := knowing(t, s, nil).Judge(t.Context(), s.sign(ended(time.Minute-time.Second))); err != nil || !got.Active {
		t.Errorf("within the leeway: %+v %v", got, err)
	}
	// Only who has the secret can say anything about that.
	if got, known, err := knowing(t, s, nil).Judge(t.Context(), encode([]byte(`{"alg":"HS512"}`))+"."+parts[1]+".eA"); err != nil || known || got.Active {
		t.Errorf("symmetric: %+v %t %v", got, known, err)
	}
}

// What the issuer has signed is a token to some reader, and never called none.
func TestUnclear(t *testing.T) {
	s := newSigner(t, "1")
	for _, payload := range []string{
		claims(`,"sid":"a","sid":"b"`), claims(`,"iss":"` + issuerURL + `"`), claims(`,"x":1,"x":1`), claims(`,"exp":1`),
		claims(`,"client_id":""`), claims(`,"client_id":["a"],"azp":"b"`), claims(`,"azp":{}`), claims(``) + "{}",
	} {
		if got, known, err := knowing(t, s, nil).Judge(t.Context(), s.sign(payload)); !errors.Is(err, endpoint.ErrUnclear) || known || got.Active {
			t.Errorf("%s: %+v %t %v", payload, got, known, err)
		}
	}
}

// away is a set of keys that cannot be had.
type away struct{}

func (away) Find(context.Context, string, string) ([]jose.JSONWebKey, error) {
	return nil, keys.ErrUnavailable
}

func TestKeysAway(t *testing.T) {
	s := newSigner(t, "1")
	token := s.sign(claims(``))
	got, known, err := knowing(t, s, func(c *Config) { c.Keys = away{} }).Judge(t.Context(), token)
	if !errors.Is(err, keys.ErrUnavailable) || known || got.Active || strings.Contains(err.Error(), token) {
		t.Errorf("%+v %t %v", got, known, err)
	}
}

func TestNewMistakes(t *testing.T) {
	for _, c := range []Config{
		{},
		{URL: "idp.example"},
		{URL: "ftp://idp.example"},
		{URL: "https://idp.example/?a=b"},
		{URL: "https://idp.example/#a"},
		{URL: "https://a:b@idp.example"},
		{URL: issuerURL, Leeway: -1},
		{URL: issuerURL, Audiences: []string{""}},
		{URL: issuerURL, ClientClaims: []string{"a", ""}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	if i, err := New(Config{URL: "accounts.google.com", Keys: away{}}); err != nil || i.URL() != "accounts.google.com" || i.SessionClaim() != "sid" {
		t.Errorf("%+v %v", i, err)
	}
}
