package tests

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// handle_errors shapes what a refusal says, and keeps what it has to say.
func TestGateHandleErrors(t *testing.T) {
	up := newUpstream(t)
	c := start(t, strings.Replace(siteWith(`realm "the \"API\""`, "token form access_token 1KiB"), "	reverse_proxy UPSTREAM\n", `	reverse_proxy UPSTREAM
	handle_errors {
		header X-Reason {http.token_revocation.reason}
		respond "{err.status_code} {http.token_revocation.reason} {http.token_revocation.digest} {http.token_revocation.revoked_at} {http.token_revocation.expires} {http.token_revocation.client}" {err.status_code}
	}
`, 1), up)
	revoked := randomToken()
	before := time.Now().Add(-time.Second)
	c.revoke(t, revoked)
	reached := up.reached.Load()

	r, err := http.NewRequest(http.MethodGet, c.url+"/api", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "dpop "+revoked)
	a := do(t, r)
	words := strings.Fields(a.body)
	if a.status != http.StatusUnauthorized || len(words) != 6 || words[0] != "401" || words[1] != "revoked" || len(words[2]) != 12 || words[5] != "backend" {
		t.Errorf("%d %q", a.status, a.body)
	} else {
		if at, err := time.Parse(time.RFC3339, words[3]); err != nil || at.Before(before.Truncate(time.Second)) || at.After(time.Now()) {
			t.Errorf("revoked at %s", words[3])
		}
		if at, err := time.Parse(time.RFC3339, words[4]); err != nil || at.Before(time.Now().Add(719*time.Hour)) {
			t.Errorf("expires at %s", words[4])
		}
	}
	if a.header.Get("X-Reason") != "revoked" || a.header.Get("Cache-Control") != "no-store" ||
		a.header.Get("WWW-Authenticate") != `DPoP realm="the \"API\"", error="invalid_token", error_description="The access token was revoked"` {
		t.Errorf("%v", a.header)
	}

	for want, put := range map[string]func(*http.Request){
		"400 malformed":   headersOf("Authorization", "Bearer a", "Bearer b"),
		"413 too_large":   func(r *http.Request) { post(r, urlencodedType, strings.Repeat("x", 1<<11)) },
		"415 unsupported": func(r *http.Request) { post(r, urlencodedType+"; charset=utf-16", "a=b") },
	} {
		r, err := http.NewRequest(http.MethodGet, c.url+"/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		put(r)
		// Placeholders without a value are empty.
		if a := do(t, r); strings.TrimSpace(a.body) != want || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %q, want %q", a.status, a.body, want)
		}
	}
	if n := up.reached.Load() - reached; n != 0 {
		t.Errorf("%d refused requests reached the upstream", n)
	}
}

func TestGateRequireToken(t *testing.T) {
	up := newUpstream(t)
	c := start(t, siteWith("require_token", "token cookie session"), up)
	revoked := randomToken()
	c.revoke(t, revoked)
	for _, test := range []struct {
		name   string
		put    func(*http.Request)
		status int
		says   string
	}{
		{"none", func(*http.Request) {}, http.StatusUnauthorized, `Bearer realm="restricted"`},
		{"another kind", headersOf("Authorization", "Basic dXNlcjpwYXNz"), http.StatusUnauthorized, `Bearer realm="restricted"`},
		{"empty ones", func(r *http.Request) {
			r.URL.RawQuery = "access_token="
			r.Header.Set("Cookie", "session=")
		}, http.StatusUnauthorized, `Bearer realm="restricted"`},
		{"one", headersOf("Authorization", "Bearer "+randomToken()), http.StatusOK, ""},
		{"one in the query", func(r *http.Request) { r.URL.RawQuery = "access_token=" + randomToken() }, http.StatusOK, ""},
		{"one in a cookie", headersOf("Cookie", "session="+randomToken()), http.StatusOK, ""},
		{"a revoked one", headersOf("Authorization", "Bearer "+revoked), http.StatusUnauthorized,
			`Bearer realm="restricted", error="invalid_token", error_description="The access token was revoked"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := up.reached.Load()
			r, err := http.NewRequest(http.MethodGet, c.url+"/api", nil)
			if err != nil {
				t.Fatal(err)
			}
			test.put(r)
			a := do(t, r)
			if a.status != test.status || a.header.Get("WWW-Authenticate") != test.says {
				t.Errorf("%d, %q", a.status, a.header.Get("WWW-Authenticate"))
			}
			if passed := up.reached.Load() != before; passed != (test.status == http.StatusOK) {
				t.Errorf("reached the upstream: %t", passed)
			}
		})
	}
}

// The gate stands before all that Caddy does with a request by itself.
func TestGateComesFirst(t *testing.T) {
	up := newUpstream(t)
	c := start(t, strings.Replace(siteWith(), "	reverse_proxy UPSTREAM\n", `	basic_auth /private {
		bob $2a$04$pBqzKLGUGRdWcSQDyFcUQOkVBjhIWFIIjJZTFUTH2j9fYxYgYjUyC
	}
	handle_path /files/* {
		root * {$HOME}
		file_server browse
	}
	respond /hello "hello"
	reverse_proxy UPSTREAM
`, 1), up)
	revoked := randomToken()
	c.revoke(t, revoked)
	for _, path := range []string{"/private", "/files/", "/hello", "/", "/token/revocation/", "/token/revocation/x", "//token/revocation", "/Token/Revocation"} {
		r, err := http.NewRequest(http.MethodGet, c.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+revoked)
		if a := do(t, r); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" || a.body != "" {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace, "PROPFIND", "X"} {
		r, err := http.NewRequest(method, c.url+"/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+revoked)
		if a := do(t, r); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", method, a.status)
		}
	}
	if n := up.reached.Load(); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}
