package tests

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const authenticationPage = "../docs/authentication.md"

// docExample is how a library authenticates at the Caddyfile under a heading.
type docExample struct {
	client, method, secret string
	key, certificate       string // the files that the commands of the page make
	// tokens is the kind of the authorization server's that it takes; empty is
	// any token.
	tokens string
	// relayed says that the methods are those of the authorization server.
	relayed bool
	// status is that of a success if it is not 200.
	status int
}

var docExamples = map[string]docExample{
	"client_secret_basic":                               {client: "backend", method: basicWay, secret: providerSecret},
	"client_secret_post":                                {client: "backend", method: postWay, secret: providerSecret},
	"A secret of which only a hash is known here":       {client: "backend", method: basicWay, secret: providerSecret},
	"client_secret_jwt":                                 {client: "backend", method: "client_secret_jwt", secret: providerSecret},
	"private_key_jwt":                                   {client: "backend", method: "private_key_jwt", key: "backend-key.pem"},
	"tls_client_auth":                                   {client: "partner", method: "tls_client_auth", key: "partner-key.pem", certificate: "partner.pem"},
	"self_signed_tls_client_auth":                       {client: "partner", method: "self_signed_tls_client_auth", key: "partner-key.pem", certificate: "partner.pem"},
	"none":                                              {client: "webapp", method: publicWay},
	"By the issuer's signature":                         {client: "backend", method: basicWay, secret: providerSecret, tokens: jwtTokens},
	"By asking the authorization server":                {client: "backend", method: basicWay, secret: providerSecret, tokens: opaqueTokens},
	"By letting the authorization server revoke it too": {client: "backend", method: basicWay, secret: providerSecret, tokens: opaqueTokens, relayed: true},
	"session": {client: "backend", method: basicWay, secret: providerSecret, tokens: jwtTokens},
	"json":    {client: "backend", method: postWay, secret: providerSecret, status: http.StatusNoContent},
	"fapi":    {client: "tpp", method: "tls_client_auth", key: "tpp-key.pem", certificate: "tpp.pem", status: http.StatusNoContent},
}

// Every Caddyfile of the page runs, what the page says that a client sends
// revokes there, and a library that has read the metadata does too.
func TestAuthenticationPage(t *testing.T) {
	server := newAuthorizationServer(t, newKey(t, "ES256"))
	n := runNode(t, "openid-client-5")
	t.Setenv("BACKEND_SECRET", providerSecret)
	t.Setenv("GATEWAY_SECRET", gatewaySecret)
	run := map[string]bool{}
	for _, section := range readDoc(t, authenticationPage, "caddyfile", "sh", "js", "json") {
		if len(section.blocks) == 0 {
			continue
		}
		example, ok := docExamples[section.heading]
		if !ok || run[section.heading] || len(section.of("caddyfile")) != 1 || len(section.of("json")) != 1 {
			t.Errorf("%q: not one Caddyfile and one JSON that a test knows", section.heading)
			continue
		}
		run[section.heading] = true
		t.Run(section.heading, func(t *testing.T) {
			t.Parallel()
			d := newDocCaddy(t, server)
			d.follow(t, &section, example)
			d.byMetadata(t, n, &section, example)
		})
	}
	for heading := range docExamples {
		if !run[heading] {
			t.Errorf("the page has nothing under %q", heading)
		}
	}
}

// docCaddy is a Caddy that runs an example, and what its commands need.
type docCaddy struct {
	*caddy
	server *authorizationServer
	texts  *strings.Replacer // as the page says
	work   string            // where the commands run
	root   string            // the file with Caddy's root certificate
	client *http.Client
}

func newDocCaddy(t *testing.T, server *authorizationServer) *docCaddy {
	up := newUpstream(t)
	c := newCaddy(t, t.TempDir(), up)
	_, port, _ := strings.Cut(c.url, "localhost:")
	c.url = "https://localhost:" + port
	etc := t.TempDir()
	return &docCaddy{
		caddy: c, server: server, work: t.TempDir(),
		root: filepath.Join(c.dir, "data", "caddy", "pki", "authorities", "local", "root.crt"),
		texts: strings.NewReplacer(
			"api.example.com", "localhost:"+port, "mtls.example.com", "localhost:"+freePort(t),
			"https://idp.example.com", server.issuer, "localhost:9000", up.address, "/etc/caddy/", etc+"/",
		),
	}
}

// follow does what the section says, in its order.
func (d *docCaddy) follow(t *testing.T, section *docSection, example docExample) {
	token, other := d.tokens(t, example)
	for _, block := range section.blocks {
		text := d.texts.Replace(block.text)
		switch block.language {
		case "caddyfile":
			d.serve(t, text)
			d.gate(t, token, http.StatusOK)
		case "sh":
			d.command(t, block, exec.Command("bash", "-euo", "pipefail", "-c", text), token)
		case "js":
			dir, err := npmScripts()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, fmt.Sprintf("page-line-%d.mjs", block.line))
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			d.command(t, block, exec.Command("node", path), token)
		}
	}
	d.gate(t, token, http.StatusUnauthorized)
	d.gate(t, other, http.StatusOK)
}

// tokens are two that can be revoked.
func (d *docCaddy) tokens(t *testing.T, example docExample) (one, other string) {
	if example.tokens == "" {
		return newToken() + "|a+b", newToken()
	}
	as := withSecret(example.client, example.secret)
	return d.server.signIn(t, as, example.tokens).Access, d.server.signIn(t, as, example.tokens).Access
}

// serve runs the Caddyfile with global options that keep Caddy from what tests
// must not do.
func (d *docCaddy) serve(t *testing.T, caddyfile string) {
	rest, global := strings.CutPrefix(caddyfile, "{\n")
	options := "{\n\tadmin ADMIN\n\tskip_install_trust\n\tauto_https disable_redirects\n"
	if !global {
		options += "}\n\n"
	}
	d.launch(options + rest)
	if strings.Contains(d.logs.String(), "not formatted") {
		t.Error("the Caddyfile is not formatted")
	}
	pem, err := os.ReadFile(d.root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	d.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(d.client.CloseIdleConnections)
	waitFor(t, 30*time.Second, func() error { // it makes its certificates on the way
		response, err := d.client.Get(d.url)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	})
}

func (d *docCaddy) gate(t *testing.T, token string, status int) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, d.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if a := answerOf(t, response); a.status != status {
		t.Errorf("a token at the gate: %d, want %d", a.status, status)
	}
}

// command runs a command of the page.
func (d *docCaddy) command(t *testing.T, block docBlock, cmd *exec.Cmd, token string) {
	cmd.Dir, cmd.WaitDelay = d.work, 10*time.Second
	cmd.Env = append(d.caddy.command().Env,
		"PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"TOKEN="+token, "CURL_CA_BUNDLE="+d.root, "NODE_EXTRA_CA_CERTS="+d.root)
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s:%d: %v\n%s", authenticationPage, block.line, err, out)
	}
}

// docMetadata is what the metadata of an authorization server say.
type docMetadata struct {
	Endpoint   string   `json:"revocation_endpoint"`
	Methods    []string `json:"revocation_endpoint_auth_methods_supported"`
	Algorithms []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
}

func (m *docMetadata) equal(other docMetadata) bool {
	slices.Sort(m.Methods)
	slices.Sort(m.Algorithms)
	slices.Sort(other.Methods)
	slices.Sort(other.Algorithms)
	return strings.HasSuffix(m.Endpoint, other.Endpoint) && // of which Caddy knows the path
		slices.Equal(m.Methods, other.Methods) && slices.Equal(m.Algorithms, other.Algorithms)
}

// said is the metadata of the first endpoint that Caddy says to the admin.
func (d *docCaddy) said(t *testing.T) docMetadata {
	t.Helper()
	response, err := http.Get("http://" + d.admin + "/token_revocation/metadata")
	if err != nil {
		t.Fatal(err)
	}
	var list []docMetadata
	if err := json.Unmarshal([]byte(answerOf(t, response).body), &list); err != nil || len(list) == 0 {
		t.Fatalf("%v: %v", list, err)
	}
	return list[0]
}

// byMetadata lets a library revoke with the metadata of the section.
func (d *docCaddy) byMetadata(t *testing.T, n *node, section *docSection, example docExample) {
	text := d.texts.Replace(section.of("json")[0].text)
	var metadata docMetadata
	if err := json.Unmarshal([]byte(text), &metadata); err != nil {
		t.Fatal(err)
	}
	if said := d.said(t); !example.relayed && !metadata.equal(said) {
		t.Errorf("the page says %+v, and Caddy %+v", metadata, said)
	}
	token, other := d.tokens(t, example)
	task := npmTask{
		Endpoint: metadata.Endpoint, Issuer: d.server.issuer, Metadata: json.RawMessage(text),
		Client: example.client, Method: example.method, Secret: example.secret, Token: token, CA: d.read(t, d.root),
	}
	switch {
	case example.certificate != "":
		task.Certificate = d.read(t, filepath.Join(d.work, example.certificate))
		task.CertificateKey = d.read(t, filepath.Join(d.work, example.key))
	case example.key != "":
		task.Key = jwkOf(t, d.read(t, filepath.Join(d.work, example.key)))
	}
	o := n.revoke(t, task)
	complaint := ""
	if example.status != 0 { // the library takes it for a failure
		complaint = fmt.Sprintf("OPError: expected 200 OK, got: %d %s", example.status, http.StatusText(example.status))
	}
	if o.Error != complaint {
		t.Errorf("with the metadata: %s", o.Error)
	}
	d.gate(t, token, http.StatusUnauthorized)
	d.gate(t, other, http.StatusOK)
}

func (d *docCaddy) read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// jwkOf is a private key in PEM as a JWK.
func jwkOf(t *testing.T, text string) json.RawMessage {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	b, err := jose.JSONWebKey{Key: key, KeyID: "2026-11"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
