package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/quic-go/quic-go/http3"
)

// mtlsSite has one address where certificates are verified if they are shown, and
// one that takes any.
const mtlsSite = `
{
	admin ADMIN
	auto_https disable_redirects
	servers {
		protocols h1 h2 h3
		trusted_proxies static 127.0.0.0/8 ::1
	}
	token_revocation {
		store bolt STORE
		client dn {
			tls_subject_dn "CN=client,OU=A\, B,O=Example,C=DE"
		}
		client dn-reversed {
			tls_subject_dn "C=DE,O=Example,OU=A\, B,CN=client"
		}
		client dn-oid {
			auth tls_client_auth
			tls_subject_dn "2.5.4.3=#0c06636c69656e74, ou=a\2C b , o=EXAMPLE , c=de"
		}
		client dn-part {
			tls_subject_dn CN=client
		}
		client dns {
			tls_san_dns Client.Example
		}
		client uri {
			tls_san_uri spiffe://example/client
		}
		client ip {
			tls_san_ip 2001:db8:0::1
		}
		client email {
			tls_san_email client@Example.com
		}
		client other-dns {
			tls_san_dns other.example
		}
		client registered {
			auth self_signed_tls_client_auth
			jwks ` + "`REGISTERED`" + `
		}
		client key-only {
			auth self_signed_tls_client_auth
			jwks ` + "`KEYONLY`" + `
		}
		client remote {
			auth self_signed_tls_client_auth
			jwks REMOTE
		}
		client basic {
			secret basic-secret
		}
		client public
	}
}
(site) {
	token_revocation
	reverse_proxy UPSTREAM
}
https://localhost:VERIFIED {
	tls CERT KEY {
		client_auth {
			mode verify_if_given
			trust_pool file AUTHORITY
		}
	}
	import site
}
https://localhost:ANY {
	tls CERT KEY {
		client_auth {
			mode request
		}
	}
	import site
}
http://localhost:PORT {
	import site
}
`

// certifier signs certificates.
type certifier struct {
	t           *testing.T
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newCertifier(t *testing.T) *certifier {
	t.Helper()
	a := &certifier{t: t, key: certificateKey(t)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate = template
	a.certificate = a.sign(a.key, template, a.key).Leaf
	return a
}

func certificateKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes the certificate of a key.
func (a *certifier) sign(key crypto.Signer, template *x509.Certificate, by crypto.Signer) tls.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(time.Hour)
	}
	parent := a.certificate
	if by == key { // self-signed
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *certifier) write(path string) {
	a.t.Helper()
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	if err := os.WriteFile(path, b, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// clientTemplate is a certificate with every name that the clients above have.
func clientTemplate(t *testing.T) *x509.Certificate {
	t.Helper()
	subject, err := asn1.Marshal(pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "DE"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Example"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "A, B"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "client"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		RawSubject: subject, DNSNames: []string{"client.example"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/client"}},
		IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}, EmailAddresses: []string{"client@example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// registered is a JWK Set with a certificate.
func registered(t *testing.T, c tls.Certificate) []byte {
	return encodeJSON(t, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.Leaf.PublicKey, Certificates: []*x509.Certificate{c.Leaf}}}})
}

// mtls is a Caddy, and clients with and without certificates.
type mtls struct {
	*caddy
	t             *testing.T
	up            *upstream
	verified, any string // addresses
	clients       map[string]*http.Client
}

func (m *mtls) client(name string, certificates ...tls.Certificate) {
	trust := &tls.Config{InsecureSkipVerify: true, Certificates: certificates} //nolint:gosec // a certificate of this test
	if len(certificates) > 0 {
		// Whatever authorities the server names.
		trust.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: trust, Protocols: protocols}
	h3 := &http3.Transport{TLSClientConfig: trust}
	m.clients[name] = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	m.clients[name+" over HTTP/3"] = &http.Client{Transport: h3, Timeout: 20 * time.Second}
	m.t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = h3.Close()
	})
}

// revoke has a token revoked, and checks what comes of it.
func (m *mtls) revoke(client, address, body string, header http.Header, want wanted) {
	m.t.Helper()
	m.t.Run(fmt.Sprintf("%s %s", client, body), func(t *testing.T) {
		t.Helper()
		token := newToken()
		request, err := http.NewRequest(http.MethodPost, address+"/token/revocation", strings.NewReader("token="+token+"&"+body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = elsewhere()
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, values := range header {
			request.Header[name] = values
		}
		before := m.up.reached.Load()
		response, err := m.clients[client].Do(request)
		if err != nil {
			t.Fatal(err)
		}
		a := answerOf(t, response)
		a.header.Del("Alt-Svc")
		want.check(t, http.MethodPost, a)
		if m.up.reached.Load() != before {
			t.Error("the upstream saw the request")
		}
		status := http.StatusOK
		if want == success {
			status = http.StatusUnauthorized
		}
		if a := m.bearer(t, token); a.status != status {
			t.Errorf("the token at the gate: %d, want %d", a.status, status)
		}
	})
}

func startMTLS(t *testing.T) (m *mtls, host *keyHost, renewed tls.Certificate) {
	t.Helper()
	up, dir := newUpstream(t), t.TempDir()
	ours, theirs := newCertifier(t), newCertifier(t)
	ours.write(filepath.Join(dir, "authority.pem"))
	key := certificateKey(t)
	self := ours.sign(key, clientTemplate(t), key)
	renewed = ours.sign(key, clientTemplate(t), key)
	expired := clientTemplate(t)
	expired.NotBefore, expired.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	host = newKeyHost(t, registered(t, self))

	m = &mtls{caddy: newCaddy(t, dir, up), t: t, up: up, clients: map[string]*http.Client{}}
	verified, any := freePort(t), freePort(t)
	m.verified, m.any = "https://localhost:"+verified, "https://localhost:"+any
	certificate, keyFile := selfSigned(t, dir)
	m.client("nobody")
	m.client("ours", ours.sign(certificateKey(t), clientTemplate(t), ours.key))
	m.client("ours, another", ours.sign(certificateKey(t), &x509.Certificate{Subject: pkix.Name{CommonName: "another"}, DNSNames: []string{"another.example"}}, ours.key))
	m.client("theirs", theirs.sign(certificateKey(t), clientTemplate(t), theirs.key))
	m.client("self-signed", self)
	m.client("renewed", renewed)
	m.client("expired", ours.sign(key, expired, key))
	m.launch(strings.NewReplacer(
		"VERIFIED", verified, "ANY", any, "CERT", certificate, "KEYONLY", string(encodeJSON(t, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public()}}})),
		"KEY", keyFile, "AUTHORITY", filepath.Join(dir, "authority.pem"), "REGISTERED", string(registered(t, self)), "REMOTE", host.URL,
	).Replace(mtlsSite))
	return m, host, renewed
}

// A certificate proves who a client is if an authority that this server trusts
// has given it to the client's name, or if it is the one that is registered.
func TestMTLS(t *testing.T) {
	m, host, renewed := startMTLS(t)
	for _, version := range []string{"", " over HTTP/3"} {
		for _, id := range []string{"dn", "dn-oid", "dns", "uri", "ip", "email"} {
			m.revoke("ours"+version, m.verified, "client_id="+id, nil, success)
			m.revoke("ours, another"+version, m.verified, "client_id="+id, nil, invalidClient)
			m.revoke("nobody"+version, m.verified, "client_id="+id, nil, invalidClient)
			// Where nobody verifies it, a name means nothing.
			m.revoke("ours"+version, m.any, "client_id="+id, nil, invalidClient)
			m.revoke("theirs"+version, m.any, "client_id="+id, nil, invalidClient)
			m.revoke("self-signed"+version, m.any, "client_id="+id, nil, invalidClient)
		}
	}
	for _, id := range []string{"dn-reversed", "dn-part", "other-dns", "registered", "basic", "unknown", ""} {
		m.revoke("ours", m.verified, "client_id="+id, nil, invalidClient)
	}
	m.revoke("ours", m.verified, "x=y", nil, invalidClient) // it has to say who it is
	m.revoke("ours", m.verified, "client_id=public", nil, success)

	for _, version := range []string{"", " over HTTP/3"} {
		m.revoke("self-signed"+version, m.any, "client_id=registered", nil, success)
		m.revoke("self-signed"+version, m.any, "client_id=remote", nil, success)
		m.revoke("renewed"+version, m.any, "client_id=registered", nil, invalidClient)
		m.revoke("expired"+version, m.any, "client_id=registered", nil, invalidClient)
	}
	m.revoke("self-signed", m.any, "client_id=key-only", nil, invalidClient)
	m.revoke("theirs", m.any, "client_id=registered", nil, invalidClient)
	m.revoke("nobody", m.any, "client_id=registered", nil, invalidClient)

	// A client renews its certificate by publishing it.
	document := registered(t, renewed)
	host.document.Store(&document)
	m.revoke("renewed", m.any, "client_id=remote", nil, success)
	if n := host.asked.Load(); n != 2 {
		t.Errorf("the certificates were fetched %d times", n)
	}

	// A certificate that the server cannot verify does not even get that far.
	for _, name := range []string{"theirs", "self-signed"} {
		if response, err := m.clients[name].Post(m.verified+"/token/revocation", "application/x-www-form-urlencoded", strings.NewReader("token=x&client_id=dn")); err == nil {
			_ = response.Body.Close()
			t.Errorf("%s: %s", name, response.Status)
		}
	}
}

// What a request says about certificates counts for nothing, and beside another
// method the certificate of the connection does not either.
func TestMTLSAlone(t *testing.T) {
	m, _, _ := startMTLS(t)
	text := url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("certificate")})))
	forged := http.Header{}
	for _, name := range []string{
		"X-Client-Cert", "X-Ssl-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "Client-Cert-Chain", "Ssl-Client-Cert", "X-Ssl-Client-S-Dn", "X-Ssl-Client-Verify", "Tls-Client-Certificate",
	} {
		forged.Set(name, text)
	}
	forged.Set("X-Ssl-Client-Verify", "SUCCESS")
	forged.Set("X-Ssl-Client-S-Dn", `CN=client,OU=A\, B,O=Example,C=DE`)
	for _, id := range []string{"dn", "dns", "registered"} {
		m.revoke("nobody", m.verified, "client_id="+id, forged, invalidClient)
		m.revoke("nobody", m.any, "client_id="+id, forged, invalidClient)
		m.revoke("nobody", m.url, "client_id="+id, forged, invalidClient) // without TLS
	}
	m.revoke("ours", m.verified, "client_id=basic&client_secret=basic-secret", nil, success)
	m.revoke("ours", m.verified, "x=y", http.Header{"Authorization": {basic("basic", "basic-secret")}}, success)
	m.revoke("ours", m.verified, "client_id=dn&client_secret=x", nil, invalidClient)
	m.revoke("ours", m.verified, "x=y", http.Header{"Authorization": {basic("dn", "")}}, invalidBasic)
	m.revoke("ours", m.verified, "client_id=basic", nil, invalidClient)
}
