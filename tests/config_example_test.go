package tests

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// Caddyfile.example runs as it is, but for its ports, and does what it says.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	example := strings.NewReplacer("localhost:8080", "localhost:PORT", "localhost:2019", "ADMIN").Replace(string(text))
	c := newCaddy(t, t.TempDir(), nil)
	c.asItStands = "users take it as it stands, and its log filter for an example"
	c.launch(example)
	up := newUpstream(t) // which nothing reaches

	const (
		bearer = "secret-token-in-authorization"
		query  = "secret-token-in-the-query"
		both   = "secret-token-of-the-web-app"
	)
	say := func(want int, path string, header http.Header) {
		t.Helper()
		request, err := http.NewRequest(http.MethodGet, c.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		a := do(t, request)
		if a.status != want || want == http.StatusOK && a.body != "Hello from the API, "+request.URL.Path+"\n" {
			t.Errorf("%s: %d %q, want %d", path, a.status, a.body, want)
		}
		if want == http.StatusUnauthorized && !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	auth := fields("Authorization", "Bearer "+bearer)
	say(http.StatusOK, "/", http.Header{})
	say(http.StatusOK, "/some/thing", auth)
	say(http.StatusOK, "/?access_token="+query, http.Header{})

	if a := c.post(t, url.Values{"token": {bearer}}, "backend", "backend-secret"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	say(http.StatusUnauthorized, "/some/thing", auth)
	say(http.StatusUnauthorized, "/?access_token="+bearer, http.Header{})
	say(http.StatusUnauthorized, "/?x=y&access_token="+bearer+"&z", fields("Referer", c.url+"/?access_token="+bearer, "Cookie", "t="+bearer))
	say(http.StatusOK, "/?access_token="+query, http.Header{})
	if a := c.post(t, url.Values{"token": {query}}, "backend", "backend-secret"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	say(http.StatusUnauthorized, "/?access_token="+query, http.Header{})

	// The web app, from its origin.
	a := c.send(t, up, revocationRequest{
		header: without("Authorization", "Origin", "http://localhost:3000"), body: "client_id=webapp&token=TOKEN", token: both,
	})
	success.check(t, http.MethodPost, a)
	if a.header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" {
		t.Errorf("%v", a.header)
	}
	say(http.StatusUnauthorized, "/", fields("Authorization", "DPoP "+both))

	// Refused revocations, also of those who put the token where it does not belong.
	c.send(t, up, revocationRequest{query: "token=TOKEN", token: "secret-token-misplaced"})
	c.send(t, up, revocationRequest{header: fields("Authorization", basic("backend", "secret-token-wrong")), token: "secret-token-refused"})
	c.send(t, up, revocationRequest{method: http.MethodGet, query: "token=TOKEN&client_secret=backend-secret", noBody: true, token: "secret-token-misplaced"})
	say(http.StatusBadRequest, "/?access_token="+query, http.Header{"Authorization": {"Bearer " + bearer, "Bearer " + both}})

	if !strings.Contains(c.logs.String(), "http.log.access") || !strings.Contains(c.logs.String(), "REDACTED") {
		t.Error("there is no access log")
	}
	for _, secret := range []string{"secret-token", "backend-secret", basic("backend", "backend-secret")} {
		if strings.Contains(c.logs.String(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
	if !strings.Contains(c.logs.String(), "token revoked") {
		t.Error("the log does not say that a token was revoked")
	}
	if strings.Contains(c.logs.String(), "not formatted") {
		t.Error("the example is not formatted")
	}
	if out, err := c.command("validate", "--config", c.config(example), "--adapter", "caddyfile").CombinedOutput(); err != nil {
		t.Errorf("validate: %v %s", err, out)
	}
}
