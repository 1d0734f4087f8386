package tests

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// authorizationServer is an oidc-provider that runs.
type authorizationServer struct {
	issuer string
}

// The secrets of its clients; it wants long ones.
const (
	providerSecret = "secret-of-a-client-of-the-provider-0123456789"
	gatewaySecret  = "secret-of-the-gateway-at-the-provider-0123456789"
)

// newAuthorizationServer starts one with the clients "app", "other" and
// "backend", which have a secret, "page", which has none, "keyed", whose key is given, and
// "gateway", which may ask about tokens.
func newAuthorizationServer(t *testing.T, key clientKey) *authorizationServer {
	t.Helper()
	type object map[string]any
	n := runNode(t, "oidc-provider")
	var ready struct{ Issuer string }
	if err := n.ask(object{"clients": []object{
		{"client_id": "app", "client_secret": providerSecret},
		{"client_id": "other", "client_secret": providerSecret},
		{"client_id": "backend", "client_secret": providerSecret},
		{"client_id": "page", "token_endpoint_auth_method": "none"},
		{
			"client_id": "keyed", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": key.alg,
			"jwks": json.RawMessage(key.set()),
		},
		{"client_id": "gateway", "client_secret": gatewaySecret},
	}}, &ready); err != nil {
		t.Fatal(err)
	}
	return &authorizationServer{ready.Issuer}
}

// site replaces ISSUER in a Caddyfile.
func (s *authorizationServer) site(caddyfile string) string {
	return strings.ReplaceAll(caddyfile, "ISSUER", s.issuer)
}

// session is a session of a user, and its tokens.
type session struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// The kinds of access tokens, by the resource that they are for.
const (
	opaqueTokens = "urn:opaque"
	jwtTokens    = "urn:jwt"
)

// signIn begins a session of alice at a client.
func (s *authorizationServer) signIn(t *testing.T, as credentialsOf, resource string) (got session) {
	t.Helper()
	s.post(t, "/token", as, url.Values{
		"grant_type": {"urn:example:sign-in"}, "username": {"alice"}, "scope": {"api"}, "resource": {resource},
	}, &got)
	return got
}

// refreshed is another access token of a session.
func (s *authorizationServer) refreshed(t *testing.T, as credentialsOf, of session, resource string) string {
	t.Helper()
	var got session
	s.post(t, "/token", as, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {of.Refresh}, "scope": {"api"}, "resource": {resource},
	}, &got)
	return got.Access
}

// active asks whether the server holds a token for valid.
func (s *authorizationServer) active(t *testing.T, token string) bool {
	t.Helper()
	var got struct{ Active *bool }
	s.post(t, "/token/introspection", withSecret("gateway", gatewaySecret), url.Values{"token": {token}}, &got)
	if got.Active == nil {
		t.Fatal("the server does not say whether a token is active")
	}
	return *got.Active
}

func (s *authorizationServer) post(t *testing.T, path string, as credentialsOf, form url.Values, answer any) {
	t.Helper()
	as(s.issuer, form)
	response, err := http.PostForm(s.issuer+path, form)
	if err != nil {
		t.Fatal(err)
	}
	a := answerOf(t, response)
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), answer); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// credentialsOf adds a client's credentials to a form, for an issuer.
type credentialsOf func(issuer string, form url.Values)

func withSecret(id, secret string) credentialsOf {
	return func(_ string, form url.Values) {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	}
}

func withoutSecret(id string) credentialsOf {
	return func(_ string, form url.Values) { form.Set("client_id", id) }
}

func withKey(t *testing.T, id string, key clientKey) credentialsOf {
	return func(issuer string, form url.Values) {
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", key.assertion(t, id, issuer))
	}
}
