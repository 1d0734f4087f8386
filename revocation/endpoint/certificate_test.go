package endpoint

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// certify makes a certificate that its own key has signed: who else has does not
// matter to what is tested here.
func certify(t *testing.T, key crypto.Signer, template x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = must(rand.Int(rand.Reader, big.NewInt(1<<62)))
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key))))
}

type attributes = pkix.RelativeDistinguishedNameSET

func attribute(value any, oid ...int) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: oid, Value: value}
}

func cn(value any) attributes { return attributes{attribute(value, 2, 5, 4, 3)} }

// raw is a value of an ASN.1 type that Go does not write by itself.
func raw(tag int, b string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(b)} }

func TestDistinguishedNames(t *testing.T) {
	org := attributes{attribute("Example, Inc.", 2, 5, 4, 10)}
	country := attributes{attribute("DE", 2, 5, 4, 6)}
	both := attributes{attribute("James \"Jim\" Smith", 2, 5, 4, 3), attribute("Sales+Marketing", 2, 5, 4, 11)}
	for name, test := range map[string]struct {
		subject pkix.RDNSequence // the most general part first
		same    []string
		others  []string
	}{
		"three parts": {
			pkix.RDNSequence{country, org, cn("client")},
			[]string{
				`CN=client,O=Example\, Inc.,C=DE`, `cn=client,o=Example\, Inc.,c=de`, `CN=CLIENT, O=example\2c inc.,  C=DE`, `2.5.4.3=client,2.5.4.10=Example\, Inc.,2.5.4.6=DE`,
				`oid.2.5.4.3=client,OID.2.5.4.10=Example\2C Inc\2e,C=de`, `CN=client,O=Example\,  Inc.,C=DE`, `commonName=client,organizationName=Example\, Inc.,countryName=DE`,
				`2.5.4.3=#0c06636c69656e74,O=#130d4578616d706c652c20496e632e,C=DE`, `CN = client , O = Example\, Inc. , C = DE`,
			},
			[]string{
				`C=DE,O=Example\, Inc.,CN=client`, `CN=client,C=DE,O=Example\, Inc.`, `CN=client`, `CN=client,O=Example\, Inc.`, `O=Example\, Inc.,C=DE`, `CN=client+O=Example\, Inc.,C=DE`,
				`CN=client,O=Example\, Inc.,C=DE,DC=x`, `CN=client,CN=client,O=Example\, Inc.,C=DE`, `CN=client2,O=Example\, Inc.,C=DE`, `OU=client,O=Example\, Inc.,C=DE`,
				`CN=cl ient,O=Example\, Inc.,C=DE`, `CN=client,O=Example\, Inc.+C=DE`, `CN=client\,O=Example\, Inc.\,C=DE`, `CN=*,O=Example\, Inc.,C=DE`, `CN=,O=Example\, Inc.,C=DE`,
			},
		},
		"a part with two attributes": {
			pkix.RDNSequence{org, both},
			[]string{
				`CN=James \"Jim\" Smith+OU=Sales\+Marketing,O=Example\, Inc.`, `OU=Sales\2BMarketing+CN=James \22Jim\22 Smith,O=Example\, Inc.`,
				`ou=sales\+marketing + cn=james \"jim\" smith,O=Example\, Inc.`,
			},
			[]string{
				`CN=James \"Jim\" Smith,OU=Sales\+Marketing,O=Example\, Inc.`, `CN=James \"Jim\" Smith,O=Example\, Inc.`,
				`CN=James \"Jim\" Smith+CN=James \"Jim\" Smith,O=Example\, Inc.`, `CN=James \"Jim\" Smith+OU=Sales\+Marketing+C=DE,O=Example\, Inc.`,
				`CN=Sales\+Marketing+OU=James \"Jim\" Smith,O=Example\, Inc.`,
			},
		},
		"odd letters": {
			pkix.RDNSequence{cn(" #Lučić <a>\\;= ")},
			[]string{`CN=\ #Lučić \<a\>\\\;\=\ `, `CN=\#Lu\C4\8Di\C4\87 \3ca\3e\5c\3b=`, `CN=\#LUČIĆ \<A\>\\\;=`},
			[]string{`CN=\#Lucic \<a\>\\\;=`, `CN=Lučić \<a\>\\\;=`},
		},
		"a text like a name": {
			pkix.RDNSequence{cn("client,O=Example")},
			[]string{`CN=client\,O=Example`, `CN=client\2cO\3dExample`},
			[]string{`CN=client,O=Example`, `O=Example,CN=client`},
		},
		"a NUL": {
			pkix.RDNSequence{cn(raw(asn1.TagUTF8String, "client\x00.evil"))},
			[]string{`CN=client\00.evil`},
			[]string{`CN=client`, `CN=client.evil`},
		},
		"BMPString":    {pkix.RDNSequence{cn(raw(asn1.TagBMPString, "\x00c\x00l\x01\x0d"))}, []string{`CN=cl\c4\8d`, `CN=clč`}, []string{`CN=cl`}},
		"T61String":    {pkix.RDNSequence{cn(raw(asn1.TagT61String, "caf\xe9"))}, []string{`CN=café`}, []string{"CN=caf\ufffd", `CN=cafè`}},
		"IA5String":    {pkix.RDNSequence{{attribute(raw(asn1.TagIA5String, "a@b.example"), 1, 2, 840, 113549, 1, 9, 1)}}, []string{`emailAddress=a@b.example`, `E=a@B.example`, `1.2.840.113549.1.9.1=#160b6140622e6578616d706c65`}, []string{`CN=a@b.example`, `mail=a@b.example`}},
		"of banks":     {pkix.RDNSequence{{attribute("PSDDE-BAFIN-123", 2, 5, 4, 97)}, cn("tpp")}, []string{`CN=tpp,organizationIdentifier=PSDDE-BAFIN-123`, `CN=tpp,2.5.4.97=PSDDE-BAFIN-123`, `CN=tpp,OID.2.5.4.97=#0c0f50534444452d424146494e2d313233`}, nil},
		"unknown type": {pkix.RDNSequence{{attribute("x", 1, 3, 6, 1, 4, 1, 99999, 1)}}, []string{`1.3.6.1.4.1.99999.1=x`}, []string{`1.3.6.1.4.1.99999.2=x`, `CN=x`}},
		// Bytes that are no text of an encoding that is known are nobody's name.
		"not UTF-8":  {pkix.RDNSequence{cn(raw(asn1.TagUTF8String, "caf\xe9"))}, nil, []string{"CN=caf\ufffd", `CN=caf\e9`, `CN=caf`, `CN=café`}},
		"not a text": {pkix.RDNSequence{cn(1)}, nil, []string{`CN=1`, `CN=`, `CN=#020101`}},
		"empty":      {pkix.RDNSequence{}, nil, []string{`CN=`, `CN=client`}},
	} {
		c := &x509.Certificate{RawSubject: must(asn1.Marshal(test.subject))}
		for _, list := range []struct {
			names []string
			want  bool
		}{{test.same, true}, {test.others, false}} {
			for _, text := range list.names {
				match, err := CertificateSubject{DN: text}.matcher()
				if err != nil {
					if list.want {
						t.Errorf("%s: %s: %v", name, text, err)
					}
					continue
				}
				if match(c) != list.want {
					t.Errorf("%s: %s: %v", name, text, !list.want)
				}
			}
		}
	}
	match := must(CertificateSubject{DN: "CN=client"}.matcher())
	for name, der := range map[string][]byte{
		"no subject": nil, "not ASN.1": []byte("CN=client"), "something behind": append(must(asn1.Marshal(pkix.RDNSequence{cn("client")})), 0),
	} {
		if match(&x509.Certificate{RawSubject: der}) {
			t.Errorf("%s is the client", name)
		}
	}
}

func TestSubjectMistakes(t *testing.T) {
	for _, s := range []CertificateSubject{
		{DN: " "}, {DN: "client"}, {DN: "CN"}, {DN: "CN=a,"}, {DN: "=a"}, {DN: "CN=a,b"}, {DN: `CN=a\`}, {DN: `CN=a\zz`}, {DN: "CN=#zz"}, {DN: "CN=#"},
		{DN: "XX=a"}, {DN: "1.2..3=a"}, {DN: "9.2=a"}, {DN: "CN=\xff"}, {DN: `CN=\ff`}, {DN: `CN=a"b`}, {DN: "/CN=client/O=Example"},
		{URI: "client"}, {URI: "/path"}, {URI: "://"}, {IP: "host"}, {IP: "10.0.0.0/8"}, {IP: "fe80::1%eth0"}, {IP: "010.0.0.1"}, {Email: "example.com"}, {Email: "@example.com"}, {Email: "a@"},
		{DN: "CN=a", Email: "a@b"}, {IP: "::1", URI: "urn:a"},
	} {
		if match, err := s.matcher(); err == nil || match != nil {
			t.Errorf("%+v is accepted", s)
		}
	}
	if match, err := (CertificateSubject{}).matcher(); match != nil || err != nil {
		t.Errorf("an empty subject: %v", err)
	}
}

func TestAlternativeNames(t *testing.T) {
	c := certify(t, signingKeys()["P-256"], x509.Certificate{
		Subject:        pkix.Name{CommonName: "cn.example"},
		DNSNames:       []string{"other.example", "Client.Example", "*.wild.example"},
		URIs:           []*url.URL{must(url.Parse("spiffe://Example/Client?x=%41#f")), must(url.Parse("urn:client:1"))},
		IPAddresses:    []net.IP{net.ParseIP("10.1.2.3"), net.ParseIP("2001:db8::1")},
		EmailAddresses: []string{"Client@Example.com", "other@example.com"},
	})
	for s, want := range map[CertificateSubject]bool{
		{DNS: "client.example"}: true, {DNS: "CLIENT.example"}: true, {DNS: "other.example"}: true, {DNS: "*.wild.example"}: true, {DNS: "a.wild.example"}: false,
		{DNS: "cn.example"}: false, {DNS: "client.example."}: false, {DNS: "example"}: false, {DNS: "10.1.2.3"}: false, {DNS: "*"}: false,
		{URI: "spiffe://Example/Client?x=%41#f"}: true, {URI: "urn:client:1"}: true, {URI: "spiffe://example/Client?x=%41#f"}: false, {URI: "spiffe://Example/Client?x=A#f"}: false,
		{URI: "spiffe://Example/Client"}: false, {URI: "URN:client:1"}: false,
		{IP: "10.1.2.3"}: true, {IP: "::ffff:10.1.2.3"}: true, {IP: "2001:DB8:0:0::1"}: true, {IP: "10.1.2.4"}: false, {IP: "2001:db8::2"}: false, {IP: "::a01:203"}: false,
		{Email: "Client@example.COM"}: true, {Email: "other@example.com"}: true, {Email: "client@example.com"}: false, {Email: "Client@example.org"}: false,
		{DN: "CN=cn.example"}: true,
	} {
		match, err := s.matcher()
		if err != nil || match(c) != want {
			t.Errorf("%+v: %v %v", s, !want, err)
		}
	}
}

// Which certificate proves who a client is, and what else does not.
func TestCertificates(t *testing.T) {
	key, other := signingKeys()["P-256"], signingKeys()["other"]
	subject := x509.Certificate{Subject: pkix.Name{CommonName: "client"}}
	mine, renewed, another := certify(t, key, subject), certify(t, key, subject), certify(t, other, subject)
	expired, future := subject, subject
	expired.NotAfter = time.Now().Add(-time.Minute)
	future.NotBefore, future.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	old, early := certify(t, key, expired), certify(t, key, future)
	registered := func(list ...*x509.Certificate) keys.Set {
		var set jose.JSONWebKeySet
		for _, c := range list {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: c.PublicKey, Certificates: []*x509.Certificate{c}})
		}
		return must(keys.Parse(must(json.Marshal(set))))
	}
	c := clients(t,
		Client{ID: "subject", Certificate: CertificateSubject{DN: "CN=client"}},
		Client{ID: "another-subject", Certificate: CertificateSubject{DN: "CN=another"}},
		Client{ID: "self-signed", Keys: registered(mine, old, early), Methods: []Method{SelfSignedTLSClientAuth}},
		Client{ID: "keys", Keys: registered(mine)},
		Client{ID: "key-only", Keys: publicKeys(t, "P-256"), Methods: []Method{SelfSignedTLSClientAuth}},
		Client{ID: "either", Certificate: CertificateSubject{DN: "CN=client"}, Keys: registered(another), Methods: []Method{TLSClientAuth, SelfSignedTLSClientAuth}},
		Client{ID: "secret", Secret: must(PlainSecret("secret"))},
		Client{ID: "public"},
	)
	for _, test := range []struct {
		name    string
		shown   *x509.Certificate
		trusted bool
		want    []string
	}{
		{"none", nil, false, []string{"public"}},
		{"mine", mine, false, []string{"public", "self-signed"}},
		{"mine, trusted", mine, true, []string{"public", "self-signed", "subject", "either"}},
		{"renewed", renewed, false, []string{"public"}},
		{"renewed, trusted", renewed, true, []string{"public", "subject", "either"}},
		{"another", another, false, []string{"public", "either"}},
		{"expired", old, true, []string{"public"}},
		{"not yet valid", early, true, []string{"public"}},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("X-Client-Cert", "CN=client") // which counts for nothing
		if test.shown != nil {
			r.TLS = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{test.shown}}
		}
		if test.trusted {
			r.TLS.VerifiedChains = [][]*x509.Certificate{{test.shown}}
		}
		var got []string
		for id := range c.byID {
			given, refused := present(nil, parameters{"client_id": id})
			if refused != nil {
				t.Fatal(refused)
			}
			client, err := c.authenticate(context.Background(), given, shown(r, time.Now()))
			if err != nil {
				t.Fatal(err)
			}
			if client != nil {
				got = append(got, client.ID)
			}
			// Beside another method, or without a client, it does not count.
			for _, authorization := range []string{"Basic " + encode(id+":wrong"), "Basic " + encode(id+":")} {
				given, refused = present([]string{authorization}, nil)
				if refused != nil {
					t.Fatal(refused)
				}
				if client, _ := c.authenticate(context.Background(), given, shown(r, time.Now())); client != nil && client.ID != "public" {
					t.Errorf("%s: %s is %s", test.name, authorization, client.ID)
				}
			}
		}
		if !sameSet(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if r.TLS != nil {
			if r.TLS.HandshakeComplete = false; shown(r, time.Now()).Certificate != nil {
				t.Errorf("%s counts before the handshake is over", test.name)
			}
		}
	}
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// Where the registered certificates are not to be had, nobody is told that the
// certificate is wrong.
func TestCertificatesUnavailable(t *testing.T) {
	host := httptest.NewServer(http.NotFoundHandler())
	host.Close()
	a := newAsserting(t, Client{ID: "remote", Keys: must(keys.NewRemote(keys.RemoteConfig{URL: host.URL})), Methods: []Method{SelfSignedTLSClientAuth}})
	mine := certify(t, signingKeys()["P-256"], x509.Certificate{})
	client, err := a.clients.authenticate(t.Context(), credentials{method: None, readings: []reading{{id: "remote"}}}, certificate{Certificate: mine})
	if client != nil || err == nil {
		t.Errorf("%v %v", client, err)
	}
}
