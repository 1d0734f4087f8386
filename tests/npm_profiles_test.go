package tests

import (
	"net/http"
	"strings"
	"testing"
)

// The SDK of the API that the profile json stands in for, at the path that it
// always uses, and the other libraries.
func TestNPMProfileJSON(t *testing.T) {
	const path = "/oauth2/revoke"
	site := npmSiteWith("profile json", "endpoint "+path)
	tryLibraries(t, site, path, []npmLibrary{
		{"moovio-sdk", []string{basicWay, postWay, publicWay}},
		{"badgateway-oauth2-client", []string{basicWay, postWay, publicWay}},
		{"oidc-client-ts", []string{postWay, publicWay}},
		{"okta-auth-js", []string{basicWay, publicWay}},
		{"ringcentral-sdk", []string{basicWay, publicWay}},
	})
	c := start(t, site, newUpstream(t))
	t.Run("more than RFC 7009 has", func(t *testing.T) {
		n := runNode(t, "moovio-sdk")
		task := c.npmTask(basicWay)
		task.Endpoint, task.Token, task.Style = c.url+path, newToken(), "both"
		n.succeed(t, c, task)
		task.Token = "" // 422, with a message for the field
		if o := n.revoke(t, task); !strings.HasPrefix(o.Error, "RevokeTokenRequestError") {
			t.Errorf("without a token: %+v", o)
		}
	})
	t.Run("not where RFC 7009 is meant", func(t *testing.T) {
		c := start(t, npmSiteWith("endpoint "+path), newUpstream(t))
		task := c.npmTask(postWay)
		task.Endpoint, task.Token = c.url+path, newToken()
		runNode(t, "moovio-sdk").fail(t, c, task, "invalid_request")
	})
	// These insist on RFC 7009's 200, and take 204 for a failure. The token dies.
	for name, complaint := range map[string]string{
		"oauth4webapi":    "unexpected HTTP status code",
		"openid-client-6": "unexpected HTTP response status code",
		"openid-client-5": "expected 200 OK, got: 204 No Content",
		"simple-oauth2":   "The content-type is not JSON compatible",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := runNode(t, name)
			task := c.npmTask(basicWay)
			task.Endpoint, task.Token = c.url+path, newToken()
			if o := n.revoke(t, task); !strings.Contains(o.Error, complaint) {
				t.Errorf("%+v", o)
			}
			if a := c.bearer(t, task.Token); a.status != http.StatusUnauthorized {
				t.Errorf("the token at the gate: %d", a.status)
			}
		})
	}
}

// The SDK of the API that the profile session stands in for, and
// others.
func TestNPMProfileSession(t *testing.T) {
	const path = "/restapi/oauth/revoke"
	tryLibraries(t, npmSiteWith("profile session", "endpoint "+path), path, []npmLibrary{
		{"ringcentral-sdk", []string{basicWay, publicWay}},
		{"oauth4webapi", []string{basicWay, postWay, publicWay}},
		{"openid-client-6", []string{basicWay}},
		{"openid-client-5", []string{basicWay}},
		{"simple-oauth2", []string{basicWay}},
		{"badgateway-oauth2-client", []string{basicWay}},
		{"oidc-client-ts", []string{publicWay}},
		{"okta-auth-js", []string{publicWay}},
	})
}
