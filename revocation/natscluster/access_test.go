package natscluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// configured starts a server with some lines of configuration, and perhaps a
// JetStream domain.
func configured(t testing.TB, domain, lines string) *server.Server {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "nats.conf")
	if domain != "" {
		domain = "domain: " + domain
	}
	config := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q\n%s }\n%s", filepath.Join(dir, "data"), domain, lines)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	s := startServer(t, options)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// address is without the credentials that ClientURL may have.
func address(s *server.Server) string { return "nats://" + s.Addr().String() }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever has the right credentials is let in, and whoever has others is told
// so, nothing secret in it, and tries again for ever.
func TestCredentials(t *testing.T) {
	t.Parallel()
	seed := func() (path, public string) {
		pair, err := nkeys.CreateUser()
		check(t, err)
		text, err := pair.Seed()
		check(t, err)
		public, err = pair.PublicKey()
		check(t, err)
		path = filepath.Join(t.TempDir(), "user.nk")
		check(t, os.WriteFile(path, text, 0o600))
		return path, public
	}
	nkey := func(path string) nats.Option {
		option, err := nats.NkeyOptionFromSeed(path)
		check(t, err)
		return option
	}
	path, public := seed()
	otherPath, _ := seed()
	trust, right, wrong := operatorMode(t)
	for name, c := range map[string]struct {
		config       string
		right, wrong nats.Option
	}{
		"user":        {"authorization { user: gateway, password: correcthorse }", nats.UserInfo("gateway", "correcthorse"), nats.UserInfo("gateway", "wrongpassword")},
		"token":       {"authorization { token: correcthorse }", nats.Token("correcthorse"), nats.Token("wrongpassword")},
		"nkey":        {"authorization { users: [{ nkey: " + public + " }] }", nkey(path), nkey(otherPath)},
		"credentials": {trust, nats.UserCredentials(right), nats.UserCredentials(wrong)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := configured(t, "", c.config)
			n := levelNode(t, Config{URLs: []string{address(s)}, Options: []nats.Option{c.right}})
			n.revoke(record(1))
			for kind, option := range map[string][]nats.Option{"wrong": {c.wrong}, "no": nil} {
				out := newNode(t, Config{URLs: []string{address(s)}, Options: option})
				eventually(t, "a node with "+kind+" credentials is told", func() bool {
					return strings.Contains(strings.ToLower(out.State().Lost), "authorization")
				})
				if state := out.State(); state.Level || state.Word || strings.Contains(fmt.Sprintf("%+v", state), "wrongpassword") {
					t.Errorf("with %s credentials the node is %+v", kind, state)
				}
			}
		})
	}
}

// operatorMode makes an operator, an account and a user with credentials that a
// server with this configuration accepts, and a user of another account.
func operatorMode(t testing.TB) (config, right, wrong string) {
	t.Helper()
	operator, err := nkeys.CreateOperator()
	check(t, err)
	operatorID, err := operator.PublicKey()
	check(t, err)
	operatorJWT, err := jwt.NewOperatorClaims(operatorID).Encode(operator)
	check(t, err)
	preload := ""
	account := func() (nkeys.KeyPair, string) {
		pair, err := nkeys.CreateAccount()
		check(t, err)
		id, err := pair.PublicKey()
		check(t, err)
		claims := jwt.NewAccountClaims(id)
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
		text, err := claims.Encode(operator)
		check(t, err)
		preload += fmt.Sprintf("%s: %s\n", id, text)
		return pair, id
	}
	user := func(account nkeys.KeyPair) string {
		pair, err := nkeys.CreateUser()
		check(t, err)
		id, err := pair.PublicKey()
		check(t, err)
		text, err := jwt.NewUserClaims(id).Encode(account)
		check(t, err)
		seed, err := pair.Seed()
		check(t, err)
		credentials, err := jwt.FormatUserConfig(text, seed)
		check(t, err)
		path := filepath.Join(t.TempDir(), "user.creds")
		check(t, os.WriteFile(path, credentials, 0o600))
		return path
	}
	ours, _ := account()
	stranger, err := nkeys.CreateAccount() // of whom the operator knows nothing
	check(t, err)
	system, err := nkeys.CreateAccount()
	check(t, err)
	systemID, err := system.PublicKey()
	check(t, err)
	systemJWT, err := jwt.NewAccountClaims(systemID).Encode(operator)
	check(t, err)
	config = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload {\n%s%s: %s\n}\n",
		operatorJWT, systemID, preload, systemID, systemJWT)
	return config, user(ours), user(stranger)
}

// The server has to prove who it is, and may ask the same of nodes.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, key := ours.issue("server")
	s := configured(t, "", fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", cert, key, ours.path))
	address := strings.Replace(address(s), "nats://", "tls://", 1)
	secure := func(trusted *authority, certificate *authority, name string) Config {
		config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted.pool, ServerName: name}
		if certificate != nil {
			pair, err := tls.LoadX509KeyPair(certificate.issue("client"))
			check(t, err)
			config.Certificates = []tls.Certificate{pair}
		}
		return Config{URLs: []string{address}, Options: []nats.Option{nats.Secure(config)}}
	}
	levelNode(t, secure(ours, ours, ""))
	for name, c := range map[string]Config{
		"another authority":         secure(theirs, ours, ""),
		"another name":              secure(ours, ours, "other.example"),
		"no certificate of its own": secure(ours, nil, ""),
		"a stranger's certificate":  secure(ours, theirs, ""),
		"no TLS":                    {URLs: []string{strings.Replace(address, "tls://", "nats://", 1)}},
	} {
		n := newNode(t, c)
		eventually(t, "a node with "+name+" is told", func() bool {
			lost := strings.ToLower(n.State().Lost)
			return strings.Contains(lost, "tls") || strings.Contains(lost, "x509") || strings.Contains(lost, "certificate")
		})
		if s := n.State(); s.Level || s.Word {
			t.Errorf("with %s the node is %+v", name, s)
		}
	}
}

// authority issues certificates.
type authority struct {
	t    testing.TB
	path string
	pool *x509.CertPool
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.path, _ = a.make(template)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate for this machine.
func (a *authority) issue(name string) (certificate, key string) {
	return a.make(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) make(template *x509.Certificate) (certificate, key string) {
	a.t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(a.t, err)
	if a.cert == nil { // its own
		a.cert, a.key = template, pair
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &pair.PublicKey, a.key)
	check(a.t, err)
	if template == a.cert {
		a.cert, err = x509.ParseCertificate(der)
		check(a.t, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(pair)
	check(a.t, err)
	dir := a.t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	check(a.t, os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(a.t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return certificate, key
}

// Through a leaf node the stream of the hub is used, by its domain.
func TestLeafNode(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 1)
	hub := configured(t, "hub", fmt.Sprintf("server_name: hub\nleafnodes { listen: \"127.0.0.1:%d\" }", ports[0]))
	leaf := configured(t, "leaf", fmt.Sprintf("server_name: leaf\nleafnodes { remotes: [{ url: \"nats://127.0.0.1:%d\" }] }", ports[0]))
	nodes := []*node{
		levelNode(t, Config{URLs: []string{address(hub)}}),
		levelNode(t, Config{URLs: []string{address(leaf)}, Domain: "hub"}),
		levelNode(t, Config{URLs: []string{address(hub)}, Domain: "hub"}),
	}
	for i, n := range nodes {
		n.revoke(record(i))
	}
	wants(t, nodes, records(0, len(nodes))...)
	if info, err := leaf.Jsz(nil); err != nil || info.Streams > 0 {
		t.Errorf("the leaf has %d streams, %v", info.Streams, err)
	}
}
