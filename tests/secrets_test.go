package tests

import (
	"bytes"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// exampleFilter is the log filter of Caddyfile.example, which is told of the
// header fields that are configured to carry tokens.
func exampleFilter(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	filter := regexp.MustCompile(`(?s)format filter \{\n.*?\n\t\t\}`).FindString(string(text))
	if filter == "" {
		t.Fatal("Caddyfile.example has no log filter")
	}
	more := ""
	for _, field := range []string{"X-Token", "X-Auth-Token"} {
		if line := "request>headers>" + field + " delete"; !strings.Contains(filter, line) {
			more += "\n\t\t\t" + line
		}
	}
	// Only with debug: the rewrite handler's own field.
	if !strings.Contains(filter, "\turi regexp") {
		more += "\n\t\t\turi regexp \"\\?.*\" \"?REDACTED\""
	}
	return strings.Replace(filter, "{", "{"+more, 1)
}

// Promise 10: with all that Caddy can log, no token and no secret is found in
// logs, metrics, admin answers, or any file that Caddy writes.
func TestSecretsStayIn(t *testing.T) {
	var used []string // every token and secret
	var number atomic.Int64
	secret := func(make func() string) string {
		s := make()
		used = append(used, s)
		number.Add(1)
		return s
	}
	token := func() string { return secret(randomToken) }

	basic, hashed, filed := token(), token(), token()
	hash, err := bcrypt.GenerateFromPassword([]byte(hashed), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	used = append(used, string(hash))
	t.Setenv("TEST_SECRET", basic)
	t.Setenv("TEST_HASH", string(hash))

	up := newUpstream(t)
	c := newCaddy(t, t.TempDir(), up)
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(filed), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(
		"auto_https off", "auto_https off\n\tdebug\n\tmetrics {\n\t\tper_host\n\t}\n\tlog {\n\t\t"+exampleFilter(t)+"\n\t}",
		"client backend {\n\t\t\tsecret backend-secret\n\t\t}", `client backend {
			secret {env.TEST_SECRET}
		}
		client hashed {
			secret_hash {env.TEST_HASH}
		}
		client filed {
			secret {file.`+secretFile+`}
		}`,
		"http://localhost:PORT {", `http://localhost:PORT {
	log
	@broken path /broken
	@rewritten path /rewritten
	rewrite @rewritten /api?{query}&more
	handle_errors {
		respond "{http.token_revocation.reason} {err.message}"
	}
`,
		"reverse_proxy UPSTREAM", "reverse_proxy @broken 127.0.0.1:1\n\treverse_proxy UPSTREAM",
	).Replace(everywhere)
	c.launch(config)

	// As clients revoke, and fail to.
	revoke := func(form url.Values, id, secret string, want int) {
		t.Helper()
		a := c.post(t, form, id, secret)
		if a.status != want {
			t.Errorf("revoking as %s: %d %s", id, a.status, a.body)
		}
		if i := slices.IndexFunc(used, func(s string) bool { return strings.Contains(a.body, s) }); i >= 0 {
			t.Errorf("the answer shows %s", used[i])
		}
	}
	opaque, jwt := token(), secret(looksLikeJWT)
	revoke(url.Values{"token": {opaque}}, "backend", basic, http.StatusOK)
	revoke(url.Values{"token": {jwt}}, "hashed", hashed, http.StatusOK)
	revoke(url.Values{"token": {token()}, "client_id": {"filed"}, "client_secret": {filed}}, "", "", http.StatusOK)
	revoke(url.Values{"token": {token()}, "client_id": {"webapp"}}, "", "", http.StatusOK)
	revoke(url.Values{"token": {token()}}, "backend", token(), http.StatusUnauthorized)
	revoke(url.Values{"token": {token()}}, "hashed", token(), http.StatusUnauthorized)
	revoke(url.Values{"token": {token()}}, token(), token(), http.StatusUnauthorized)
	revoke(url.Values{"token": {token()}, "client_id": {token()}, "client_secret": {token()}}, "", "", http.StatusUnauthorized)
	revoke(url.Values{"token": {token(), token()}}, "backend", basic, http.StatusBadRequest)
	revoke(url.Values{"token": {token()}, "client_assertion": {token()}, "client_assertion_type": {token()}}, "", "", http.StatusUnauthorized)
	revoke(url.Values{token(): {token()}, "token_type_hint": {token()}}, "backend", basic, http.StatusBadRequest)

	// As requests carry tokens: revoked ones and others, on their way to an API
	// that works, to one that is down, and through a rewrite.
	places := map[string]func(*http.Request, string){
		"Bearer":      header("Authorization", "Bearer %s"),
		"DPoP":        header("Authorization", "DPoP %s"),
		"scheme":      header("Authorization", "Token token=\"%s\""),
		"bare":        header("Authorization", "%s"),
		"malformed":   header("Authorization", "Bearer %s,%s"),
		"twice":       header("Authorization", "Bearer %s", "Bearer %s"),
		"query":       query("a=b&access_token=%s"),
		"other query": query("token=%s#x"),
		"cookie":      header("Cookie", "a=b; session=%s"),
		"bad cookie":  header("Cookie", `session="%s`),
		"header":      header("X-Token", "%s"),
		"list":        header("X-Auth-Token", "x, Token %s"),
		"protocol":    header("Sec-Websocket-Protocol", "chat, %s"),
		"kubernetes": func(r *http.Request, token string) {
			r.Header.Set("Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(token)))
		},
		"form":      form(urlencodedType, "access_token=%s"),
		"bad form":  form(urlencodedType+"; charset=utf-16", "access_token=%s"),
		"multipart": multi(multipartType, field("access_token", "%s")+end),
		"referer":   header("Referer", "http://localhost/?access_token=%s"),
		"proxy":     header("Proxy-Authorization", "Bearer %s"),
		"path":      func(r *http.Request, token string) { r.URL.RawQuery = "?" + token },
		"trailer": func(r *http.Request, token string) {
			post(r, "text/plain", "hello")
			r.ContentLength, r.Trailer = -1, http.Header{"X-Token": {token}}
		},
	}
	statuses := map[int]int{}
	for _, path := range []string{"/api", "/broken", "/rewritten", "/token/revocation"} {
		for _, put := range places {
			for _, s := range []string{opaque, jwt, token(), secret(looksLikeJWT)} {
				r, err := http.NewRequest(http.MethodGet, c.url+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				put(r, s)
				statuses[do(t, r).status]++
			}
		}
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusBadGateway} {
		if statuses[status] == 0 {
			t.Errorf("no request was answered with %d: %v", status, statuses)
		}
	}

	found := c.tells(t)
	if err := c.reload(strings.Replace(config, "secret {env.TEST_SECRET}", "secret {env.TEST_MISSING}", 1)); err == nil {
		t.Error("a secret that is missing was accepted")
	}
	c.stop(t)
	c.wrote(t, found)
	if len(found[c.names.Replace("STORE")]) == 0 || !bytes.Contains(found["the log"], []byte("upstream roundtrip")) ||
		!bytes.Contains(found["/metrics"], []byte("caddy_http_requests_total")) {
		t.Error("some place was not looked into")
	}
	showNone(t, found, used)
}

// tells is what the admin endpoint tells of a Caddy that runs.
func (c *caddy) tells(t *testing.T) (found map[string][]byte) {
	t.Helper()
	found = map[string][]byte{}
	for name, path := range map[string]string{
		"/config/": "/config/", "/metrics": "/metrics", "/reverse_proxy/upstreams": "/reverse_proxy/upstreams",
		"/token_revocation/metadata": "/token_revocation/metadata",
		"goroutines":                 "/debug/pprof/goroutine?debug=2", "variables": "/debug/vars",
	} {
		a, err := http.Get("http://" + c.admin + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		_ = a.Body.Close()
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, a.Status, err)
		}
		found[name] = body
	}
	return found
}

// wrote adds what a Caddy that has stopped has written: its log and all files.
func (c *caddy) wrote(t *testing.T, found map[string][]byte) {
	t.Helper()
	found["the log"] = []byte(c.logs.String())
	err := filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// showNone fails if a secret, in some writing, stands in what was found.
func showNone(t *testing.T, found map[string][]byte, secrets []string) {
	t.Helper()
	for where, b := range found {
		for _, s := range secrets {
			for _, writing := range writings(s) {
				if i := bytes.Index(b, []byte(writing)); i >= 0 {
					from := max(0, bytes.LastIndexByte(b[:i], '\n')+1, i-1500)
					t.Fatalf("%s shows a secret:\n%s", where, b[from:min(len(b), i+200)])
				}
			}
		}
	}
}

// stop ends Caddy in peace.
func (c *caddy) stop(t *testing.T) {
	t.Helper()
	c.kill(os.Interrupt)
}

// writings are those in which a secret could show up.
func writings(s string) []string {
	list := []string{s, url.QueryEscape(s)}
	// Within base64, a text stands in one of three ways.
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
		list = append(list, encoded[4:len(encoded)-4])
	}
	for part := range strings.SplitSeq(s, ".") { // of a JWT
		list = append(list, part)
	}
	return slices.DeleteFunc(list, func(s string) bool { return len(s) < 16 || strings.HasPrefix(s, "eyJhbGci") })
}
