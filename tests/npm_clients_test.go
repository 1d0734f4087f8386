package tests

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// npmTask is what a script of tests/clients is to do.
type npmTask struct {
	Endpoint string `json:"endpoint"`
	Issuer   string `json:"issuer"`
	// Metadata is what the library knows of the server beside these.
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Client   string          `json:"client"`
	Secret   string          `json:"secret,omitempty"`
	// Method is how the client authenticates, by its registered name, and Style
	// how the library is told to write that, if there is more than one way.
	Method string `json:"method"`
	Style  string `json:"style,omitempty"`
	// Key is the private JWK that an assertion is signed with, by Alg.
	Key json.RawMessage `json:"key,omitempty"`
	Alg string          `json:"alg,omitempty"`
	// Claims are claims of the assertion that are to be others.
	Claims map[string]any `json:"claims,omitempty"`
	// Certificate, its key, and whom to trust, as PEM.
	Certificate    string `json:"certificate,omitempty"`
	CertificateKey string `json:"certificateKey,omitempty"`
	CA             string `json:"ca,omitempty"`
	// Origin is that of the page that a library for browsers runs in.
	Origin string `json:"origin,omitempty"`
	Token  string `json:"token"`
	Hint   string `json:"hint,omitempty"`
	// Status is what the answer must have where the library does not look.
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// npmOutcome is what a library said: an empty Error is success.
type npmOutcome struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// revoke lets the library do a task.
func (n *node) revoke(t *testing.T, task npmTask) npmOutcome {
	t.Helper()
	var o npmOutcome
	if err := n.ask(task, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

const (
	npmSecret = "s+ecret:with/odd=letters&100%"
	npmOrigin = "http://app.example.com"
)

// npmSite has one client for each way to authenticate with a secret.
var npmSite = strings.NewReplacer("SECRET", "`"+npmSecret+"`", "ORIGIN", npmOrigin).Replace(`
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		client client_secret_basic {
			auth client_secret_basic
			secret SECRET
			origin ORIGIN
		}
		client client_secret_post {
			auth client_secret_post
			secret SECRET
			origin ORIGIN
		}
		client none {
			auth none
			origin ORIGIN
		}
	}
}
http://localhost:PORT {
	token_revocation
	reverse_proxy UPSTREAM
}
`)

// npmSiteWith is the site with lines in the directive.
func npmSiteWith(lines ...string) string {
	block := "\ttoken_revocation {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}\n\treverse_proxy"
	return strings.Replace(npmSite, "\ttoken_revocation\n\treverse_proxy", block, 1)
}

// npmLibrary is a library and the ways in which it can authenticate: methods by
// their registered names, some with a word for how they are written.
type npmLibrary struct {
	name string
	ways []string
}

const (
	basicWay  = "client_secret_basic"
	rawWay    = "client_secret_basic_raw" // not form-encoded
	postWay   = "client_secret_post"
	publicWay = "none"
)

// Each library revokes in each way that it knows.
func TestNPMClients(t *testing.T) {
	tryLibraries(t, npmSite, "/token/revocation", []npmLibrary{
		{"oauth4webapi", []string{basicWay, postWay, publicWay}},
		{"openid-client-6", []string{basicWay, postWay, publicWay}},
		{"openid-client-5", []string{basicWay, postWay, publicWay}},
		{"simple-oauth2", []string{basicWay, rawWay, postWay}},
		{"badgateway-oauth2-client", []string{basicWay, rawWay, postWay, publicWay}},
		{"oidc-client-ts", []string{postWay, publicWay}},
		{"okta-auth-js", []string{basicWay, publicWay}},
		{"ringcentral-sdk", []string{basicWay, publicWay}},
	})
}

// tryLibraries lets each revoke at an endpoint of a Caddy of its own, since who
// often fails has to wait.
func tryLibraries(t *testing.T, site, endpoint string, list []npmLibrary) {
	up := newUpstream(t)
	for _, library := range list {
		t.Run(library.name, func(t *testing.T) {
			t.Parallel()
			n, c := runNode(t, library.name), start(t, site, up)
			for _, way := range library.ways {
				t.Run(way, func(t *testing.T) {
					task := c.npmTask(strings.TrimSuffix(way, "_raw"))
					task.Endpoint, task.Style = c.url+endpoint, way
					n.try(t, c, task)
				})
			}
			if strings.Contains(c.logs.String(), npmSecret) || strings.Contains(c.logs.String(), "opaque-") {
				t.Error("a secret or a token stands in the log")
			}
		})
	}
}

// npmTask is a task for the client that has the name of a method.
func (c *caddy) npmTask(method string) npmTask {
	task := npmTask{
		Endpoint: c.url + "/token/revocation", Issuer: c.url, Client: method, Method: method, Origin: npmOrigin,
	}
	if method != "none" {
		task.Secret = npmSecret
	}
	return task
}

// try lets the library revoke tokens, and fail to.
func (n *node) try(t *testing.T, c *caddy, task npmTask) {
	t.Helper()
	for _, hint := range []string{"", "access_token", "refresh_token"} {
		for _, token := range []string{newToken(), newToken() + `|+/=%41&a=b`, jwt(`{"sub":"` + newToken() + `"}`)} {
			task.Token, task.Hint = token, hint
			n.succeed(t, c, task)
		}
	}
	n.succeed(t, c, task) // again
	task.Token, task.Hint = newToken(), ""
	stranger := task
	stranger.Client = "nobody"
	n.fail(t, c, stranger, "invalid_client")
	if task.Secret != "" {
		wrong := task
		wrong.Secret = "wrong"
		n.fail(t, c, wrong, "invalid_client")
	}
	n.succeed(t, c, task)
}

// succeed lets the library revoke a token, and sees it refused.
func (n *node) succeed(t *testing.T, c *caddy, task npmTask) {
	t.Helper()
	if o := n.revoke(t, task); o.Error != "" {
		t.Errorf("%s: %s %s", task.Token, o.Error, o.Code)
	}
	if a := c.bearer(t, task.Token); a.status != http.StatusUnauthorized {
		t.Errorf("the token at the gate: %d", a.status)
	}
	if a := c.bearer(t, newToken()); a.status != http.StatusOK {
		t.Errorf("another token at the gate: %d", a.status)
	}
}

// fail lets the library try, sees it say why it failed, and the token live on.
func (n *node) fail(t *testing.T, c *caddy, task npmTask, code string) {
	t.Helper()
	if o := n.revoke(t, task); o.Error == "" || o.Code != code {
		t.Errorf("%q %q, want %s", o.Error, o.Code, code)
	}
	if a := c.bearer(t, task.Token); a.status != http.StatusOK {
		t.Errorf("the token at the gate: %d", a.status)
	}
}
