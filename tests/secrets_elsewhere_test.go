package tests

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// tellingSite asks others, in two endpoints.
const tellingSite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		issuer AUTHORITY
		introspection AUTHORITY/introspect {
			client_id gateway
			client_secret {env.TEST_GATEWAY_SECRET}
		}
		client shared {
			auth client_secret_jwt client_secret_post
			secret {env.TEST_SHARED_SECRET}
		}
		client signing {
			jwks KEYS
		}
	}
}
http://localhost:PORT {
	token_revocation
	token_revocation /relayed/* {
		endpoint /relayed/revoke
		revoke session
		relay AUTHORITY/oauth/revoke
	}
	reverse_proxy UPSTREAM
}
`

// Promise 10 where others are asked, who may send back what they were asked.
func TestSecretsOfOthersStayIn(t *testing.T) {
	gateway, shared := randomToken(), randomToken()+randomToken()
	t.Setenv("TEST_GATEWAY_SECRET", gateway)
	t.Setenv("TEST_SHARED_SECRET", shared)
	as, key := newAuthority(t), newKey(t, "ES256")
	site := strings.ReplaceAll(withKeys(t, tellingSite, key.set()), "AUTHORITY", as.URL)
	c := start(t, site, newUpstream(t))

	statuses := map[int]int{}
	revoke := func(path, token, assertion string, more ...string) {
		form := url.Values{"token": {token}}
		if assertion != "" {
			form.Set("client_assertion", assertion)
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		}
		for i := 0; i < len(more); i += 2 {
			form.Add(more[i], more[i+1])
		}
		request, err := http.NewRequest(http.MethodPost, c.url+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		statuses[doWith(t, stranger(t), request).status]++
	}
	assertion := func(path string) string { return key.assertion(t, "signing", c.url+path) }
	for _, answer := range []http.HandlerFunc{nil, echo(http.StatusOK), echo(http.StatusBadRequest), echo(http.StatusUnauthorized), echo(http.StatusInternalServerError), cutOff} {
		as.breaks(answer)
		for _, path := range []string{"/token/revocation", "/relayed/revoke"} {
			for _, token := range []string{as.token(claimSet{"client_id": "signing", "sid": "a-session"}), looksLikeJWT(), randomToken()} {
				good := assertion(path)
				revoke(path, token, good)
				revoke(path, token, good) // again
				revoke(path, token, newKey(t, "ES256").assertion(t, "signing", c.url+path))
				revoke(path, token, key.assertion(t, "nobody", c.url+path))
				revoke(path, token, key.assertion(t, "signing", "https://elsewhere.example"))
				revoke(path, token, looksLikeJWT())
				revoke(path, token, "", "client_id", "shared", "client_secret", shared)
				revoke(path, token, "", "client_id", "shared", "client_secret", randomToken())
				revoke(path, token, "", "client_id", "theirs", "client_secret", randomToken())
			}
		}
	}
	for _, status := range []int{200, 400, 401, 502, 503} {
		if statuses[status] == 0 {
			t.Errorf("no request was answered with %d: %v", status, statuses)
		}
	}
	if !c.logs.say("a revocation failed") {
		t.Error("no revocation failed")
	}
}

// echo answers with what it was asked.
func echo(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.WriteHeader(status)
		_, _ = w.Write(b)
	}
}

// cutOff breaks off in the middle of what it was asked.
func cutOff(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Length", "100000")
	_, _ = w.Write(b)
}
