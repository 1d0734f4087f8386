package tests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// endpointSite has a client for each way to authenticate.
const endpointSite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		client backend {
			secret backend-secret
		}
		client only-basic {
			auth client_secret_basic
			secret only-basic-secret
		}
		client only-post {
			auth client_secret_post
			secret only-post-secret
		}
		client webapp
	}
}
http://localhost:PORT {
	token_revocation
	reverse_proxy UPSTREAM
}
`

// Every row of the table of answers, and that a refused request changes nothing.
func TestEndpointAnswers(t *testing.T) {
	up := newUpstream(t)
	c := start(t, endpointSite, up)
	for group, requests := range map[string][]revocationRequest{
		"method":         methodRequests(),
		"content type":   contentTypeRequests(),
		"size":           sizeRequests(),
		"parameters":     parameterRequests(),
		"query":          queryRequests(),
		"authentication": authenticationRequests(),
		"two methods":    twoMethodsRequests(),
		"token":          tokenRequests(),
	} {
		t.Run(group, func(t *testing.T) {
			for _, r := range requests {
				t.Run(r.name, func(t *testing.T) { c.try(t, up, r) })
			}
		})
	}
	t.Run("options", func(t *testing.T) {
		token := newToken()
		a := c.send(t, up, revocationRequest{method: http.MethodOptions, token: token})
		if a.status != http.StatusNoContent || a.body != "" || a.header.Get("Allow") != "POST, OPTIONS" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v %q", a.status, a.header, a.body)
		}
		if a := c.bearer(t, token); a.status != http.StatusOK {
			t.Errorf("the token at the gate: %d", a.status)
		}
	})
	t.Run("twice", func(t *testing.T) {
		r := revocationRequest{token: newToken(), want: success}
		c.try(t, up, r)
		c.try(t, up, r)
	})
	// The gate refuses such a token anyway.
	t.Run("ambiguous token", func(t *testing.T) {
		token := `{"payload":"e30","payload":"e31","protected":"eyJhbGciOiJub25lIn0","signature":""}`
		a := c.send(t, up, revocationRequest{token: token})
		wanted{status: http.StatusBadRequest, error: "invalid_request", about: "more than one way"}.check(t, http.MethodPost, a)
	})
	// The path decides, however it is written; any other is the upstream's.
	t.Run("path", func(t *testing.T) {
		token := newToken()
		for path, reached := range map[string]int64{"/token/%72evocation": 0, "/token/revocation/": 1, "/Token/revocation": 1} {
			request, err := http.NewRequest(http.MethodPost, c.url+path, strings.NewReader("token="+token))
			if err != nil {
				t.Fatal(err)
			}
			request.Header = fields("Content-Type", "application/x-www-form-urlencoded")
			before := up.reached.Load()
			a := do(t, request)
			if up.reached.Load()-before != reached || reached == 0 && a.status != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	})
	if strings.Contains(c.logs.String(), "opaque-") {
		t.Error("a token stands in the log")
	}
}

func methodRequests() []revocationRequest {
	var list []revocationRequest
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "post", "REVOKE"} {
		list = append(list,
			revocationRequest{name: method, method: method, want: badMethod},
			revocationRequest{name: method + " without body", method: method, noBody: true, query: "token=TOKEN", want: badMethod},
		)
	}
	return append(list, revocationRequest{
		name: "overridden", method: "GET", header: fields("X-HTTP-Method-Override", "POST", "X-Http-Method", "POST"), want: badMethod,
	})
}

func contentTypeRequests() []revocationRequest {
	const form = "application/x-www-form-urlencoded"
	var list []revocationRequest
	for _, value := range []string{
		form, form + "; charset=UTF-8", form + `;charset="utf-8"`, form + " ; a=b ; c=d", "Application/X-WWW-Form-URLEncoded",
	} {
		list = append(list, revocationRequest{name: value, header: fields("Content-Type", value), want: success})
	}
	for _, value := range []string{
		"", "application/json", "text/plain", "multipart/form-data; boundary=x", form + "2", form + ", application/json",
		form + "; a=b; a=c", "application", ";", form + "/x",
	} {
		list = append(list, revocationRequest{name: "not " + value, header: fields("Content-Type", value), want: unsupported})
	}
	return append(list,
		revocationRequest{name: "none", header: without("Content-Type"), want: unsupported},
		revocationRequest{name: "twice", header: fields("Content-Type", form, "Content-Type", form), want: unsupported},
		revocationRequest{name: "two", header: fields("Content-Type", form, "Content-Type", "application/json"), want: unsupported},
		revocationRequest{name: "JSON", header: fields("Content-Type", "application/json"), body: `{"token":"TOKEN"}`, want: unsupported},
		revocationRequest{name: "JSON as form", body: `{"token":"TOKEN"}`, want: invalidRequest},
		revocationRequest{name: "gzip", header: fields("Content-Encoding", "gzip"), want: unsupported},
		revocationRequest{name: "identity", header: fields("Content-Encoding", "Identity"), want: success},
		revocationRequest{name: "two encodings", header: fields("Content-Encoding", "identity, gzip"), want: unsupported},
		revocationRequest{name: "two encoding fields", header: fields("Content-Encoding", "identity", "Content-Encoding", "gzip"), want: unsupported},
		revocationRequest{name: "no authentication either", header: without("Authorization", "Content-Type", "text/plain"), want: unsupported},
	)
}

func sizeRequests() []revocationRequest {
	const limit = 64 << 10
	token := newToken()
	start := "token=" + token + "&x="
	full := start + strings.Repeat("a", limit-len(start))
	var list []revocationRequest
	for name, chunked := range map[string]bool{"": false, " chunked": true} {
		list = append(list,
			revocationRequest{name: "over" + name, body: full + "a", token: token, chunked: chunked, want: tooLarge},
			revocationRequest{name: "far over" + name, body: full + full, token: token, chunked: chunked, want: tooLarge},
			revocationRequest{name: "over in zeros" + name, body: "token=TOKEN" + strings.Repeat("\x00", limit), chunked: chunked, want: tooLarge},
			revocationRequest{name: "small" + name, chunked: chunked, want: success},
		)
	}
	return append(list,
		revocationRequest{name: "full", body: full, token: token, want: success},
		revocationRequest{name: "full chunked", body: full, token: token, chunked: true, want: success},
	)
}

func parameterRequests() []revocationRequest {
	bad := func(about string) wanted {
		return wanted{status: http.StatusBadRequest, error: "invalid_request", about: about}
	}
	list := []revocationRequest{
		{name: "no body", noBody: true, want: bad("token is missing")},
		{name: "no token", body: "x=y", want: bad("token is missing")},
		{name: "empty token", body: "token=", want: bad("token is missing")},
		{name: "token without a sign", body: "token", want: bad("token is missing")},
		{name: "white token", body: "token=+%09%0d%0a", want: bad("token is missing")},
		{name: "token by another name", body: "Token=TOKEN&token[]=TOKEN&access_token=TOKEN&+token=TOKEN&token%00=TOKEN", want: bad("token is missing")},
		{name: "two tokens", body: "token=TOKEN&token=other", want: bad("token")},
		{name: "the same token twice", body: "token=TOKEN&token=TOKEN", want: bad("token")},
		{name: "a token and an empty one", body: "token=TOKEN&token", want: bad("token")},
		{name: "two tokens, one disguised", body: "token=TOKEN&t%6Fken=other", want: bad("token")},
		{name: "semicolon", body: "token=TOKEN;x=y", want: bad("semicolon")},
		{name: "semicolon in another parameter", body: "token=TOKEN&x=;", want: bad("semicolon")},
		{name: "semicolon first", body: ";token=TOKEN", want: bad("semicolon")},
		{name: "percent in the token", body: "token=TOKEN%", want: bad("percent")},
		{name: "percent and one digit", body: "token=TOKEN%2", want: bad("percent")},
		{name: "percent and no digits", body: "token=TOKEN%zz", want: bad("percent")},
		{name: "percent in a name", body: "token=TOKEN&%=x", want: bad("percent")},
		{name: "percent in another parameter", body: "token=TOKEN&x=%u0041", want: bad("percent")},
	}
	for name, value := range map[string]string{
		"token_type_hint": "access_token", "client_id": "backend", "client_secret": "",
		"client_assertion": "", "client_assertion_type": "",
	} {
		list = append(list,
			revocationRequest{name: name + " twice", body: "token=TOKEN&" + name + "=" + value + "&" + name + "=" + value, want: bad(name)},
			revocationRequest{name: name + " twice, once empty", body: name + "&token=TOKEN&" + name + "=", want: bad(name)},
			revocationRequest{name: name + " twice, once disguised", body: "token=TOKEN&" + name + "=&" + strings.Replace(name, "_", "%5f", 1) + "=", want: bad(name)},
		)
	}
	for _, body := range []string{
		"token=TOKEN&foo=bar", "foo=bar&foo=baz&token=TOKEN&Token=x&tokens=y", "&&token=TOKEN&&=&=x&", "token=TOKEN&scope=a%3Bb",
		"token=TOKEN&token_type_hint=access_token", "token=TOKEN&token_type_hint=refresh_token", "token=TOKEN&token_type_hint=",
		"token=TOKEN&token_type_hint=urn%3Aunknown+hint", "token_type_hint=id_token&token=TOKEN", "%74%6f%6b%65%6e=TOKEN",
		"token=TOKEN\r\n", "token=+TOKEN%20%0A", "token=TOKEN&grant_type=client_credentials", "token=TOKEN&x=%00%ff",
	} {
		list = append(list, revocationRequest{name: fmt.Sprintf("ok %q", body), body: body, want: success})
	}
	return list
}

func queryRequests() []revocationRequest {
	var list []revocationRequest
	for _, query := range []string{
		"token=TOKEN", "token", "x=y&token=TOKEN", "t%6Fken=TOKEN", "x=y;token=TOKEN", "token=%zz", "token=TOKEN&%zz",
		"client_id=backend", "client_secret=backend-secret", "client%5Fsecret=x", "client_assertion=x", "client_assertion_type=x",
	} {
		list = append(list,
			revocationRequest{name: query, query: query, want: invalidRequest},
			revocationRequest{name: query + " only", query: query, body: "x=y", want: invalidRequest},
			revocationRequest{name: query + " without authentication", query: query, header: without("Authorization"), want: invalidRequest},
		)
	}
	for _, query := range []string{"x=y", "token_type_hint=access_token", "%zz", "tokens=1;x"} {
		list = append(list, revocationRequest{name: "ok " + query, query: query, want: success})
	}
	return list
}

func authenticationRequests() []revocationRequest {
	auth := func(value string) http.Header { return fields("Authorization", value) }
	const assertion = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=eyJhbGciOiJub25lIn0.e30."
	none := without("Authorization")
	list := []revocationRequest{
		{name: "none", header: none, want: invalidClient},
		{name: "none, and no token", header: none, body: "x=y", want: invalidClient},
		{name: "none, and an ID token", header: none, token: jwt(`{"nonce":"n","aud":"a","n":"none"}`), want: invalidClient},
		{name: "secret without client", header: none, body: "token=TOKEN&client_secret=backend-secret", want: invalidClient},
		{name: "confidential client without secret", header: none, body: "token=TOKEN&client_id=backend", want: invalidClient},
		{name: "confidential client with an empty secret", header: none, body: "token=TOKEN&client_id=backend&client_secret=", want: invalidClient},
		{name: "unknown public client", header: none, body: "token=TOKEN&client_id=nobody", want: invalidClient},
		{name: "wrong secret by post", header: none, body: "token=TOKEN&client_id=backend&client_secret=wrong", want: invalidClient},
		{name: "unknown client by post", header: none, body: "token=TOKEN&client_id=nobody&client_secret=backend-secret", want: invalidClient},
		{name: "secret of another client", header: none, body: "token=TOKEN&client_id=backend&client_secret=only-post-secret", want: invalidClient},
		{name: "client in another case", header: none, body: "token=TOKEN&client_id=Backend&client_secret=backend-secret", want: invalidClient},
		{name: "public client with a secret", header: none, body: "token=TOKEN&client_id=webapp&client_secret=x", want: invalidClient},
		{name: "assertion", header: none, body: "token=TOKEN" + assertion, want: invalidClient},
		{name: "assertion with client_id", header: none, body: "token=TOKEN&client_id=backend" + assertion, want: invalidClient},
		{name: "assertion of a public client", header: none, body: "token=TOKEN&client_id=webapp" + assertion, want: invalidClient},
		{name: "assertion without type", header: none, body: "token=TOKEN&client_id=webapp&client_assertion=x", want: invalidClient},
		{name: "assertion type without assertion", header: none, body: "token=TOKEN&client_id=webapp&client_assertion_type=x", want: invalidClient},
		{name: "Bearer", header: auth("Bearer TOKEN"), want: invalidClient},
		{name: "Digest", header: auth(`Digest username="backend"`), want: invalidClient},
		{name: "empty Authorization", header: auth(""), want: invalidClient},
		{name: "credentials without scheme", header: auth(strings.TrimPrefix(basic("backend", "backend-secret"), "Basic ")), want: invalidClient},
		{name: "wrong secret", header: auth(basic("backend", "wrong")), want: invalidBasic},
		{name: "wrong secret, and no token", header: auth(basic("backend", "wrong")), body: "x=y", want: invalidBasic},
		{name: "secret with a letter more", header: auth(basic("backend", "backend-secretx")), want: invalidBasic},
		{name: "secret with a letter less", header: auth(basic("backend", "backend-secre")), want: invalidBasic},
		{name: "secret with a space", header: auth(basic("backend", "backend-secret ")), want: invalidBasic},
		{name: "unknown client", header: auth(basic("nobody", "backend-secret")), want: invalidBasic},
		{name: "no client", header: auth(basic("", "backend-secret")), want: invalidBasic},
		{name: "neither", header: auth(basic("", "")), want: invalidBasic},
		{name: "no secret", header: auth(basic("backend", "")), want: invalidBasic},
		{name: "no colon", header: auth("Basic YmFja2VuZA=="), want: invalidBasic},
		{name: "nothing behind Basic", header: auth("Basic"), want: invalidBasic},
		{name: "not base64", header: auth("Basic !!!"), want: invalidBasic},
		{name: "half padded", header: auth(strings.TrimSuffix(basic("backend", "backend-secret1"), "=")), want: invalidBasic},
		{name: "two in one field", header: auth(basic("backend", "backend-secret") + ", Bearer x"), want: invalidBasic},
		{name: "public client with a secret by Basic", header: auth(basic("webapp", "x")), want: invalidBasic},
		{name: "Basic of one who may not", header: auth(basic("only-post", "only-post-secret")), want: invalidBasic},
		{name: "post of one who may not", header: none, body: "token=TOKEN&client_id=only-basic&client_secret=only-basic-secret", want: invalidClient},

		{name: "post", header: none, body: "token=TOKEN&client_id=backend&client_secret=backend-secret", want: success},
		{name: "post of one who may", header: none, body: "token=TOKEN&client_id=only-post&client_secret=only-post-secret", want: success},
		{name: "post beside Bearer", header: auth("Bearer x"), body: "token=TOKEN&client_id=backend&client_secret=backend-secret", want: success},
		{name: "Basic of one who may", header: auth(basic("only-basic", "only-basic-secret")), want: success},
		{name: "public client", header: none, body: "token=TOKEN&client_id=webapp", want: success},
		{name: "public client with an empty secret", header: none, body: "client_secret=&token=TOKEN&client_id=webapp", want: success},
		{name: "public client by Basic", header: auth(basic("webapp", "")), want: success},
		{name: "public client by Basic without colon", header: auth("Basic d2ViYXBw"), want: success},
	}
	return list
}

func twoMethodsRequests() []revocationRequest {
	return []revocationRequest{
		{name: "Basic and secret", body: "token=TOKEN&client_id=backend&client_secret=backend-secret", want: invalidRequest},
		{name: "Basic and secret without client_id", body: "token=TOKEN&client_secret=backend-secret", want: invalidRequest},
		{name: "Basic and wrong secret", body: "token=TOKEN&client_secret=wrong", want: invalidRequest},
		{name: "wrong Basic and secret", header: fields("Authorization", basic("backend", "wrong")), body: "token=TOKEN&client_id=backend&client_secret=backend-secret", want: invalidRequest},
		{name: "empty Basic and secret", header: fields("Authorization", "Basic"), body: "token=TOKEN&client_id=backend&client_secret=backend-secret", want: invalidRequest},
		{name: "Basic and assertion", body: "token=TOKEN&client_assertion=x&client_assertion_type=y", want: invalidRequest},
		{name: "Basic and assertion only", body: "token=TOKEN&client_assertion=x", want: invalidRequest},
		{name: "Basic and assertion type", body: "token=TOKEN&client_assertion_type=y", want: invalidRequest},
		{name: "secret and assertion", header: without("Authorization"), body: "token=TOKEN&client_id=backend&client_secret=backend-secret&client_assertion=x", want: invalidRequest},
		{name: "two Authorization fields", header: fields("Authorization", basic("backend", "backend-secret"), "Authorization", basic("backend", "backend-secret")), want: invalidRequest},
		{name: "Basic and Bearer", header: fields("Authorization", "Bearer x", "Authorization", basic("backend", "backend-secret")), want: invalidRequest},
		{name: "Basic and another client_id", body: "token=TOKEN&client_id=webapp", want: invalidRequest},
		{name: "Basic and an unknown client_id", body: "token=TOKEN&client_id=nobody", want: invalidRequest},
		{name: "Basic and client_id in another case", body: "token=TOKEN&client_id=BACKEND", want: invalidRequest},

		{name: "Basic and empty parameters", body: "token=TOKEN&client_id=&client_secret=&client_assertion=&client_assertion_type=", want: success},
		{name: "Basic and the same client_id", body: "token=TOKEN&client_id=backend", want: success},
		{name: "Basic and the same client_id and empty secret", body: "token=TOKEN&client_id=backend&client_secret=", want: success},
	}
}

func tokenRequests() []revocationRequest {
	const logout = `{"iss":"i","aud":"a","events":{"http://schemas.openid.net/event/backchannel-logout":{}},"n":"`
	return []revocationRequest{
		{name: "JWT", token: jwt(`{"sub":"jwt"}`), want: success},
		{name: "JWT with nonce and scope", token: jwt(`{"nonce":"n","aud":"a","scope":"s"}`), want: success},
		{name: "access token with all marks", token: jwtWithHeader(`{"typ":"at+jwt","alg":"ES256"}`, `{"nonce":"n","aud":"a","iss":"i","sub":"i"}`), want: success},
		{name: "JWT that has expired", token: jwt(`{"exp":1000000000}`), want: success, lives: true},
		{name: "JWT whose exp some read as no end", token: jwt(`{"exp":0}`), want: success},
		{name: "ID token", token: jwt(`{"nonce":"n","aud":"a"}`), want: unsupportedToken},
		{name: "ID token with at_hash", token: jwt(`{"at_hash":"x","scope":"s"}`), want: unsupportedToken},
		{name: "ID token with a hint", body: "token=TOKEN&token_type_hint=access_token", token: jwt(`{"c_hash":"x"}`), want: unsupportedToken},
		{name: "ID token that has expired", token: jwt(`{"nonce":"n","aud":"a","exp":1}`), want: unsupportedToken},
		{name: "logout token", token: jwt(logout + `1"}`), want: unsupportedToken},
		{name: "logout token by type", token: jwtWithHeader(`{"typ":"logout+jwt","alg":"RS256"}`, logout+`2"}`), want: unsupportedToken},
		{name: "client assertion", token: jwt(`{"iss":"backend","sub":"backend","aud":"a"}`), want: unsupportedToken},
		{name: "access token that its subject signed", token: jwt(`{"iss":"robot@example.com","sub":"robot@example.com","aud":"a"}`), want: success},
	}
}
