package tests

import (
	"net/http"
	"strings"
	"testing"
)

// What libraries for browsers do in a page of a registered origin is in
// TestNPMClients. From any other, they get no answer.
func TestNPMBrowserOrigins(t *testing.T) {
	up := newUpstream(t)
	c := start(t, npmSite, up)
	for _, name := range []string{"oidc-client-ts", "okta-auth-js"} {
		t.Run(name, func(t *testing.T) {
			n := runNode(t, name)
			task := c.npmTask(publicWay)
			task.Origin, task.Token = "http://evil.example.com", newToken()
			if o := n.revoke(t, task); o.Error == "" {
				t.Error("a foreign page can read the answer")
			}
			// Both ask before they send.
			if a := c.bearer(t, task.Token); a.status != http.StatusOK {
				t.Errorf("the token at the gate: %d", a.status)
			}
			task.Origin = npmOrigin
			n.succeed(t, c, task)
		})
	}
	// The browser of these tests does not look at the names of header fields, as
	// real ones do: those that the two send, and any that others might.
	t.Run("header fields", func(t *testing.T) {
		for _, names := range []string{
			"accept,content-type", "accept,authorization,content-type,x-okta-user-agent-extended", "x-fapi-interaction-id,dpop",
		} {
			a := c.send(t, up, revocationRequest{method: http.MethodOptions, noBody: true, header: http.Header{
				"Origin": {npmOrigin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {names},
			}})
			if missing := notAllowed(a.header.Get("Access-Control-Allow-Headers"), names); missing != "" {
				t.Errorf("%s is not allowed", missing)
			}
		}
	})
}

// notAllowed is the first of the names for which a browser would not send its
// request (Fetch standard, "CORS-preflight fetch"): the star does not stand for
// Authorization.
func notAllowed(allowed, names string) string {
	list := map[string]bool{}
	for name := range strings.SplitSeq(allowed, ",") {
		list[strings.ToLower(strings.TrimSpace(name))] = true
	}
	for name := range strings.SplitSeq(names, ",") {
		if !list[name] && (!list["*"] || name == "authorization") {
			return name
		}
	}
	return ""
}
