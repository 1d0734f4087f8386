package tests

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// sites is a Caddyfile with the two clients and these sites.
func sites(lines string) string {
	head, _, _ := strings.Cut(site, "http://localhost:PORT")
	return head + lines
}

// at sends a request to a path, with a token unless it is empty.
func (c *caddy) at(t *testing.T, path, token string) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, c.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, request)
}

// revokeAt sends a good revocation request to a path.
func (c *caddy) revokeAt(t *testing.T, path, token string) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, c.url+path, strings.NewReader("token="+token))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = fields("Content-Type", "application/x-www-form-urlencoded", "Authorization", basic("backend", "backend-secret"))
	return do(t, request)
}

// Two sites, each with its own endpoint, share one denylist.
func TestTwoSites(t *testing.T) {
	up := newUpstream(t)
	one := newCaddy(t, t.TempDir(), up)
	other := freePort(t)
	one.launch(sites(`
http://localhost:PORT {
	token_revocation
	reverse_proxy UPSTREAM
}
http://localhost:` + other + ` {
	token_revocation {
		endpoint /oauth2/revoke
	}
	reverse_proxy UPSTREAM
}
http://127.0.0.1:` + other + ` {
	reverse_proxy UPSTREAM
}
`))
	two := &caddy{url: "http://localhost:" + other}
	bare := &caddy{url: "http://127.0.0.1:" + other}
	a, b := newToken(), newToken()
	if got := one.revokeAt(t, "/token/revocation", a); got.status != http.StatusOK {
		t.Errorf("at the first: %d %s", got.status, got.body)
	}
	if got := two.revokeAt(t, "/oauth2/revoke", b); got.status != http.StatusOK {
		t.Errorf("at the second: %d %s", got.status, got.body)
	}
	for _, token := range []string{a, b} {
		for _, c := range []*caddy{one, two} {
			if got := c.at(t, "/", token); got.status != http.StatusUnauthorized {
				t.Errorf("%s: %d", c.url, got.status)
			}
		}
		if got := bare.at(t, "/", token); got.status != http.StatusOK {
			t.Errorf("where the directive is not: %d", got.status)
		}
	}
	// Each answers at its own path only: elsewhere the request is one like any other.
	for c, path := range map[*caddy]string{one: "/oauth2/revoke", two: "/token/revocation"} {
		before, token := up.reached.Load(), newToken()
		c.revokeAt(t, path, token)
		if up.reached.Load() != before+1 || c.at(t, "/", token).status != http.StatusOK {
			t.Errorf("%s%s is an endpoint", c.url, path)
		}
	}
}

// Where and how the directive stands in a site.
func TestPlacesOfTheDirective(t *testing.T) {
	up := newUpstream(t)
	const proxy = "\treverse_proxy UPSTREAM\n"
	tests := []struct {
		name, lines string
		endpoints   []string // that answer
		none        []string // that do not
		gated       []string // paths at which a revoked token is refused
		open        []string // at which it is not
	}{
		{
			name: "two endpoints", lines: "token_revocation\ntoken_revocation {\nendpoint /two\n}\n" + proxy,
			endpoints: []string{"/token/revocation", "/two"}, gated: []string{"/", "/two/"},
		},
		{
			name: "endpoint off", lines: "token_revocation {\nendpoint off\n}\n" + proxy,
			none: []string{"/token/revocation", "/off"}, gated: []string{"/", "/token/revocation"},
		},
		{
			name: "another endpoint", lines: "token_revocation {\nendpoint /oauth2/v1/revoke\n}\n" + proxy,
			endpoints: []string{"/oauth2/v1/revoke", "/oauth2/v1/%72evoke"}, none: []string{"/token/revocation", "/oauth2/v1/revoke/", "/oauth2/V1/revoke", "//oauth2/v1/revoke"},
			gated: []string{"/", "/token/revocation"},
		},
		{
			name: "matcher without the endpoint", lines: "token_revocation /api/*\n" + proxy,
			none: []string{"/token/revocation"}, gated: []string{"/api/x", "/api/"}, open: []string{"/", "/token/revocation", "/other"},
		},
		{
			name: "matcher with the endpoint", lines: "token_revocation /api/* {\nendpoint /api/revoke\n}\n" + proxy,
			endpoints: []string{"/api/revoke"}, none: []string{"/token/revocation"}, gated: []string{"/api/x"}, open: []string{"/"},
		},
		{
			name: "named matcher", lines: "@m path /token/revocation /api/*\ntoken_revocation @m\n" + proxy,
			endpoints: []string{"/token/revocation"}, gated: []string{"/api/x"}, open: []string{"/"},
		},
		{
			name: "endpoint and gate apart", lines: "token_revocation /token/revocation\ntoken_revocation /api/* {\nendpoint off\n}\n" + proxy,
			endpoints: []string{"/token/revocation"}, gated: []string{"/api/x"}, open: []string{"/"},
		},
		{
			name: "in a route", lines: "route {\nrespond /open open\ntoken_revocation\n}\n" + proxy,
			endpoints: []string{"/token/revocation"}, gated: []string{"/"}, open: []string{"/open"},
		},
		{
			name: "after the path was stripped", lines: "handle_path /auth/* {\ntoken_revocation\n" + proxy + "}\nhandle {\n" + proxy + "}\n",
			endpoints: []string{"/auth/token/revocation"}, none: []string{"/token/revocation"}, gated: []string{"/auth/x"}, open: []string{"/"},
		},
		{
			name: "before basic_auth, written after", lines: "basic_auth /private {\nbob $2a$04$JKoNCbTenS5oxdgphTXe../NxPGstIva58qg6nJSYBwv1NU8UDGvq\n}\n" + proxy + "token_revocation\n",
			endpoints: []string{"/token/revocation"}, gated: []string{"/"},
		},
	}
	// Each is a site of its own, and all are in one Caddy.
	caddyfile := sites("http://localhost:PORT {\n\ttoken_revocation\n" + proxy + "}\n")
	ports := make([]string, len(tests))
	for i, test := range tests {
		ports[i] = freePort(t)
		caddyfile += "http://localhost:" + ports[i] + " {\n" + test.lines + "}\n"
	}
	first := start(t, caddyfile, up)
	revoked := newToken()
	first.revoke(t, revoked)
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &caddy{url: "http://localhost:" + ports[i]}
			for _, path := range test.endpoints {
				token := newToken()
				if a := c.revokeAt(t, path, token); a.status != http.StatusOK || a.body != "{}" {
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
				if a := c.at(t, test.gated[0], token); a.status != http.StatusUnauthorized {
					t.Errorf("revoked at %s: %d", path, a.status)
				}
			}
			for _, path := range test.none {
				token, before := newToken(), up.reached.Load()
				if a := c.revokeAt(t, path, token); up.reached.Load() != before+1 {
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
				if a := c.at(t, test.gated[0], token); a.status != http.StatusOK {
					t.Errorf("not revoked at %s: %d", path, a.status)
				}
			}
			for _, path := range test.gated {
				if a := c.at(t, path, revoked); a.status != http.StatusUnauthorized {
					t.Errorf("%s with a revoked token: %d", path, a.status)
				}
				if a := c.at(t, path, newToken()); a.status != http.StatusOK {
					t.Errorf("%s with another token: %d", path, a.status)
				}
			}
			for _, path := range test.open {
				if a := c.at(t, path, revoked); a.status != http.StatusOK {
					t.Errorf("%s: %d", path, a.status)
				}
			}
		})
	}
}

// A refusal is an error that handle_errors can shape, with what it has to say in
// placeholders. Header fields that hold whatever it says are there already.
func TestShapedRefusals(t *testing.T) {
	up := newUpstream(t)
	c := start(t, sites(`
http://localhost:PORT {
	token_revocation {
		require_token
		realm "the \"API\" \ it"
		token form access_token 100
	}
	reverse_proxy UPSTREAM
	handle_errors {
		respond "{err.status_code}|{http.token_revocation.reason}|{http.token_revocation.digest}|{http.token_revocation.revoked_at}|{http.token_revocation.expires}|{http.token_revocation.client}|{http.token_revocation.kind}"
	}
}
`), up)
	const realm = `realm="the \"API\" \\ it"`
	token := newToken()
	began := time.Now().Add(-time.Second)
	c.revoke(t, token)
	sum := sha256.Sum256([]byte(token))

	a := c.bearer(t, token)
	parts := strings.Split(a.body, "|")
	if a.status != http.StatusUnauthorized || len(parts) != 7 || strings.Join(parts[:3], "|") != "401|revoked|"+hex.EncodeToString(sum[:6]) || parts[5] != "backend" || parts[6] != "token" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	revokedAt, err := time.Parse(time.RFC3339, parts[3])
	if err != nil || revokedAt.Before(began.Truncate(time.Second)) || revokedAt.After(time.Now()) {
		t.Errorf("revoked_at: %s %v", parts[3], err)
	}
	if expires, err := time.Parse(time.RFC3339, parts[4]); err != nil || expires.Sub(revokedAt).Round(time.Minute) != 720*time.Hour {
		t.Errorf("expires: %s %v", parts[4], err)
	}
	if got := a.header.Get("WWW-Authenticate"); got != `Bearer `+realm+`, error="invalid_token", error_description="The access token was revoked"` {
		t.Errorf("WWW-Authenticate: %s", got)
	}

	for _, test := range []struct {
		name      string
		change    func(*http.Request)
		body      string
		status    int
		reason    string
		challenge string
	}{
		{"no token", func(*http.Request) {}, "", 401, "no_token", `Bearer ` + realm},
		{"empty token", func(r *http.Request) { r.URL.RawQuery = "access_token=" }, "", 401, "no_token", `Bearer ` + realm},
		{"Basic", func(r *http.Request) { r.SetBasicAuth("a", "b") }, "", 401, "no_token", `Bearer ` + realm},
		{"two fields", func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer a", "Bearer b"} }, "", 400, "malformed", `Bearer ` + realm + `, error="invalid_request", error_description="The request is malformed"`},
		{"large form", func(r *http.Request) {}, strings.Repeat("x", 101), 413, "too_large", ""},
		{"packed form", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, "x", 415, "unsupported", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequest(http.MethodPost, c.url+"/api", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			test.change(request)
			before := up.reached.Load()
			a := do(t, request)
			want := fmt.Sprintf("%d|%s|||||", test.status, test.reason)
			if a.status != test.status || a.body != want || a.header.Get("WWW-Authenticate") != test.challenge || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s %v, want %s", a.status, a.body, a.header, want)
			}
			if up.reached.Load() != before {
				t.Error("the upstream saw it")
			}
		})
	}
	// With a token it passes, wherever that stands.
	if a := c.at(t, "/?access_token="+newToken(), ""); a.status != http.StatusOK {
		t.Errorf("in the query: %d", a.status)
	}
	if a := c.bearer(t, newToken()); a.status != http.StatusOK {
		t.Errorf("in Authorization: %d", a.status)
	}
	// The endpoint is not the API: it asks for no token, and answers for itself.
	c.try(t, up, revocationRequest{want: success})
	a = c.send(t, up, revocationRequest{header: fields("Authorization", basic("backend", "wrong")), token: token})
	if got := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || got != `Basic `+realm+`, charset="UTF-8"` || !strings.Contains(a.body, "invalid_client") {
		t.Errorf("%d %s %s", a.status, got, a.body)
	}
}
