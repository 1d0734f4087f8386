package tests

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Promise 10, which every test holds its Caddy to (witness_test.go), here with
// tokens and secrets in every place where they could stand.
func TestSecretsStayIn(t *testing.T) {
	basic, hashed, filed := randomToken(), randomToken(), randomToken()
	hash, err := bcrypt.GenerateFromPassword([]byte(hashed), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_SECRET", basic)
	t.Setenv("TEST_HASH", string(hash))

	up := newUpstream(t)
	c := newCaddy(t, t.TempDir(), up)
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(filed), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(
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
		showsNone(t, a)
	}
	opaque, jwt := randomToken(), looksLikeJWT()
	revoke(url.Values{"token": {opaque}}, "backend", basic, http.StatusOK)
	revoke(url.Values{"token": {jwt}}, "hashed", hashed, http.StatusOK)
	revoke(url.Values{"token": {randomToken()}, "client_id": {"filed"}, "client_secret": {filed}}, "", "", http.StatusOK)
	revoke(url.Values{"token": {randomToken()}, "client_id": {"webapp"}}, "", "", http.StatusOK)
	revoke(url.Values{"token": {randomToken()}}, "backend", randomToken(), http.StatusUnauthorized)
	revoke(url.Values{"token": {randomToken()}}, "hashed", randomToken(), http.StatusUnauthorized)
	revoke(url.Values{"token": {randomToken()}}, randomToken(), randomToken(), http.StatusUnauthorized)
	revoke(url.Values{"token": {randomToken()}, "client_id": {randomToken()}, "client_secret": {randomToken()}}, "", "", http.StatusUnauthorized)
	revoke(url.Values{"token": {randomToken(), randomToken()}}, "backend", basic, http.StatusBadRequest)
	revoke(url.Values{"token": {randomToken()}, "client_assertion": {randomToken()}, "client_assertion_type": {randomToken()}}, "", "", http.StatusUnauthorized)
	revoke(url.Values{randomToken(): {randomToken()}, "token_type_hint": {randomToken()}}, "backend", basic, http.StatusBadRequest)

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
			for _, s := range []string{opaque, jwt, randomToken(), looksLikeJWT()} {
				r, err := http.NewRequest(http.MethodGet, c.url+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				put(r, s)
				a := do(t, r)
				statuses[a.status]++
				showsNone(t, a)
			}
		}
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusBadGateway} {
		if statuses[status] == 0 {
			t.Errorf("no request was answered with %d: %v", status, statuses)
		}
	}

	if err := c.reload(strings.Replace(config, "secret {env.TEST_SECRET}", "secret {env.TEST_MISSING}", 1)); err == nil {
		t.Error("a secret that is missing was accepted")
	}
	// The rest is what every Caddy is held to when its test ends.
	for _, said := range []string{"upstream roundtrip", "http.log.access", "http.log.error"} {
		if !c.logs.say(said) {
			t.Errorf("the log has nothing of %s", said)
		}
	}
}

// showsNone fails if a secret stands in an answer.
func showsNone(t *testing.T, a answer) {
	t.Helper()
	for _, text := range []string{a.body, fmt.Sprint(a.header)} {
		for _, f := range confidential.in([]byte(text)) {
			t.Errorf("the answer shows the secret %s: %s", f.secret, text)
		}
	}
}
