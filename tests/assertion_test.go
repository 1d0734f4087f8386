package tests

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// assertionSite has clients whose keys are everywhere that keys can be.
const assertionSite = `
{
	admin ADMIN
	auto_https off
	servers {
		trusted_proxies static 127.0.0.0/8 ::1
	}
	token_revocation {
		store bolt STORE
		issuer https://idp.example {
			jwks ` + "`ISSUER`" + `
		}
		client inline {
			jwks ` + "`INLINE`" + `
		}
		client file {
			auth private_key_jwt
			jwks FILE
		}
		client remote {
			jwks REMOTE
		}
		client another {
			jwks REMOTE
		}
		client down {
			jwks http://127.0.0.1:1/keys
		}
		client secret {
			auth client_secret_jwt
			secret SECRET
		}
		client both {
			auth client_secret_post client_secret_jwt private_key_jwt
			secret SECRET
			jwks ` + "`INLINE`" + `
		}
		client basic {
			secret SECRET
		}
		client public
	}
}
http://localhost:PORT {
	token_revocation
	reverse_proxy UPSTREAM
}
`

const assertionSecret = "a-secret-of-some-sixty-four-bytes-which-is-enough-for-all-of-it!"

// startAsserting runs the site, with the keys of one host.
func startAsserting(t *testing.T, host *keyHost) (a asserter, site, file string) {
	t.Helper()
	up := newUpstream(t)
	dir := t.TempDir()
	file = filepath.Join(dir, "keys.json")
	publish(t, file, keySet(t, "P-256"))
	site = strings.NewReplacer(
		"ISSUER", string(keySet(t, "second")), "INLINE", string(keySet(t, "RSA", "P-256", "P-384", "P-521", "Ed")),
		"FILE", file, "REMOTE", host.URL, "SECRET", assertionSecret,
	).Replace(assertionSite)
	c := newCaddy(t, dir, up)
	c.launch(site)
	return asserter{c, t, up}, site, file
}

func publish(t *testing.T, file string, document []byte) {
	t.Helper()
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Every algorithm revokes for the clients that may use it, and for no other.
func TestAssertionAlgorithms(t *testing.T) {
	host := newKeyHost(t, keySet(t, "RSA", "P-256", "P-384", "P-521", "Ed"))
	a, _, _ := startAsserting(t, host)
	verdict := func(good bool) wanted {
		if good {
			return success
		}
		return invalidClient
	}
	for alg, kind := range kindOf {
		key := privateKey(t, kind)
		for client, good := range map[string]bool{
			"inline": true, "remote": true, "both": true, "file": alg == "ES256", "secret": false, "basic": false, "public": false, "nobody": false,
		} {
			a.present(alg+" of "+client, a.assertion(client, alg, key, nil, nil), verdict(good))
		}
		a.present(alg+" with its kid", a.assertion("inline", alg, key, object{"kid": kind}, nil), success)
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		for client, good := range map[string]bool{"secret": true, "both": true, "inline": false, "basic": false, "public": false, "nobody": false} {
			a.present(alg+" of "+client, a.assertion(client, alg, []byte(assertionSecret), nil, nil), verdict(good))
		}
		a.present(alg+" with a wrong secret", a.assertion("secret", alg, []byte(strings.ToUpper(assertionSecret)), nil, nil), invalidClient)
		// The public key is no secret.
		for name, secret := range map[string][]byte{"document": keySet(t, "RSA", "P-256", "P-384", "P-521", "Ed"), "nothing": {}} {
			a.present(alg+" with the "+name, a.assertion("inline", alg, secret, nil, nil), invalidClient)
			a.present(alg+" with the "+name+" of both", a.assertion("both", alg, secret, nil, nil), invalidClient)
		}
	}
	if n := host.asked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// The URL of the endpoint is the one that the client has, also where the site
// takes a part of the path away.
func TestAssertionRewritten(t *testing.T) {
	key := newKey(t, "ES256")
	site := strings.Replace(judgedConfig("client assertive {\n jwks KEYS\n}"), "\ttoken_revocation {\n\t\ttoken", "\turi strip_prefix /oauth\n\ttoken_revocation {\n\t\ttoken", 1)
	c := start(t, withKeys(t, site, key.set()), newUpstream(t))
	for path, want := range map[string]int{"/oauth/token/revocation": http.StatusOK, "/token/revocation": http.StatusUnauthorized} {
		form := url.Values{
			"token": {newToken()}, "client_assertion": {key.assertion(t, "assertive", c.url+path)},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		answer, err := http.PostForm(c.url+"/oauth/token/revocation", form)
		if err != nil {
			t.Fatal(err)
		}
		if a := answerOf(t, answer); a.status != want {
			t.Errorf("an assertion for %s: %d %s", path, a.status, a.body)
		}
	}
}

// What is wrong is refused, reveals nothing, causes no request to anywhere, and
// leaves the token alone.
func TestAssertionRefused(t *testing.T) {
	host, trap := newKeyHost(t, keySet(t, "P-256")), newKeyHost(t, keySet(t, "stranger"))
	a, _, _ := startAsserting(t, host)
	key, stranger := privateKey(t, "P-256"), privateKey(t, "stranger")
	about := func(text string) wanted { return wanted{status: 401, error: "invalid_client", about: text} }
	second := int64(time.Second.Seconds())
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		claims object
		want   wanted
	}{
		"the issuer as aud":    {object{"aud": "https://idp.example"}, success},
		"a list as aud":        {object{"aud": []string{"https://elsewhere.example", "https://idp.example"}}, success},
		"no iat":               {object{"iat": nil}, success},
		"no iss":               {object{"iss": nil}, about("iss and sub")},
		"no sub":               {object{"sub": nil}, about("iss and sub")},
		"another iss":          {object{"iss": "https://idp.example"}, about("iss and sub")},
		"another client":       {object{"iss": "both", "sub": "both"}, success}, // it has the same key
		"one without this key": {object{"iss": "basic", "sub": "basic"}, invalidClient},
		"no aud":               {object{"aud": nil}, about("aud")},
		"the token endpoint":   {object{"aud": a.url + "/token"}, about("aud")},
		"another host":         {object{"aud": "http://127.0.0.1/token/revocation"}, about("aud")},
		"no exp":               {object{"exp": nil}, about("exp")},
		"expired":              {object{"exp": now - 60*second}, about("expired")},
		"ends in an hour":      {object{"exp": now + 3600*second}, about("ahead")},
		"exp as text":          {object{"exp": "9999999999"}, invalidClient},
		"from the future":      {object{"iat": now + 120*second}, about("future")},
		"not yet":              {object{"nbf": now + 120*second}, about("future")},
		"no jti":               {object{"jti": nil}, about("jti")},
		"empty jti":            {object{"jti": ""}, about("jti")},
		"jti too long":         {object{"jti": strings.Repeat("j", 300)}, about("jti")},
	} {
		a.present(name, a.signed("inline", "P-256", test.claims), test.want)
	}
	a.present("alg none", a.assertion("inline", "none", nil, nil, nil), invalidClient)
	a.present("a stranger's key", a.assertion("inline", "ES256", stranger, nil, nil), invalidClient)
	a.present("an access token", a.assertion("inline", "ES256", key, object{"typ": "at+jwt"}, nil), about("typ"))
	a.present("typ of its own", a.assertion("inline", "ES256", key, object{"typ": "Client-Authentication+JWT"}, nil), success)
	a.present("unknown crit", a.assertion("inline", "ES256", key, object{"crit": []string{"x"}, "x": 1}, nil), invalidClient)
	a.present("a known crit", a.assertion("inline", "ES256", key, object{"crit": []string{"b64"}, "b64": true}, nil), invalidClient)
	for name, header := range map[string]object{
		"jku": {"jku": trap.URL}, "x5u": {"x5u": trap.URL}, "jku and kid": {"jku": trap.URL, "kid": "stranger"},
		"jwk": {"jwk": object{"kty": "EC"}}, "x5c": {"x5c": []string{"AAAA"}},
	} {
		for _, client := range []string{"inline", "remote", "nobody"} {
			a.present(name+" of "+client, a.assertion(client, "ES256", stranger, header, nil), invalidClient)
		}
		a.present(name+" with the right key", a.assertion("inline", "ES256", key, header, nil), invalidClient)
	}
	good := a.signed("inline", "P-256", nil)
	for name, bad := range map[string]string{
		"cut off": good[:len(good)-1], "longer": good + "A", "padded": good + "==", "a line break": good[:len(good)-2] + "\n" + good[len(good)-2:],
		"JSON": `{"payload":"` + strings.Split(good, ".")[1] + `"}`, "nothing": "", "no signature": good[:strings.LastIndex(good, ".")+1],
		"another header": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES384"}`)) + good[strings.Index(good, "."):],
	} {
		a.present(name, bad, invalidClient)
	}
	a.present("another client_id", good, about("client_id"), "client_id", "both")
	a.present("an unknown client_id", good, about("client_id"), "client_id", "nobody")
	a.present("another type", good, invalidClient, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
	a.present("no type", good, invalidClient, "client_assertion_type", "")
	a.present("a secret beside", good, invalidRequest, "client_secret", "x")
	t.Run("Basic beside", func(t *testing.T) {
		header := elsewhere()
		header.Set("Authorization", basic("inline", "x"))
		a.try(t, a.up, revocationRequest{header: header, body: assertionForm(good), want: invalidRequest})
	})
	a.present("no token", good, invalidRequest, "token_type_hint", "x", "token", "")
	a.present("no keys now", a.signed("down", "P-256", nil), unavailable)
	a.present("after all that it is still good", good, success, "client_id", "inline")
	a.present("once", good, invalidClient)
	if n := trap.asked.Load() + host.asked.Load(); n != 0 {
		t.Errorf("%d requests for keys", n)
	}
	if logs := a.logs.String(); strings.Contains(logs, good[len(good)-40:]) || strings.Contains(logs, assertionSecret) {
		t.Error("an assertion or a secret stands in the log")
	}
}

// An assertion is used once, on whatever it was used, also after a crash, and not
// by whatever refused it.
func TestAssertionReplay(t *testing.T) {
	a, site, _ := startAsserting(t, newKeyHost(t, keySet(t, "P-256")))
	same := func(client string) string { return a.signed(client, "P-256", object{"jti": "the same"}) }
	first := same("inline")
	a.present("the first time", first, success)
	a.present("again", first, invalidClient)
	a.present("another of the same jti", same("inline"), invalidClient)
	a.present("another client of the same jti", same("file"), success)
	a.present("its keys elsewhere", same("remote"), success)

	// For a token that has expired, of which nothing is stored.
	expired := a.signed("inline", "P-256", nil)
	body := strings.ReplaceAll(assertionForm(expired), "TOKEN", jwt(`{"exp":1000000000}`))
	a.try(t, a.up, revocationRequest{header: elsewhere(), body: body, want: success, lives: true})
	a.present("after an expired token", expired, invalidClient)

	atOnce := a.signed("inline", "P-256", nil)
	if done, refused := a.atOnce(10, atOnce); done != 1 || refused != 9 {
		t.Errorf("of ten at once %d succeeded, %d were refused", done, refused)
	}

	a.kill(syscall.SIGKILL)
	a.launch(site)
	for name, used := range map[string]string{"the first": first, "after an expired token": expired, "of ten": atOnce, "of another client": same("file")} {
		a.present("after a crash, "+name, used, invalidClient)
	}
	a.present("after a crash, a new one", a.signed("inline", "P-256", nil), success)
}

// atOnce sends an assertion several times at the same time.
func (a asserter) atOnce(times int, assertion string) (done, refused int64) {
	a.t.Helper()
	var wg sync.WaitGroup
	var success, refusal atomic.Int64
	begin := make(chan struct{})
	for range times {
		body := strings.ReplaceAll(assertionForm(assertion), "TOKEN", url.QueryEscape(newToken()))
		request, err := http.NewRequest(http.MethodPost, a.url+"/token/revocation", strings.NewReader(body))
		if err != nil {
			a.t.Fatal(err)
		}
		request.Header = elsewhere()
		request.Header.Del("Authorization")
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		wg.Go(func() {
			<-begin
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				a.t.Error(err)
				return
			}
			_ = response.Body.Close()
			switch response.StatusCode {
			case http.StatusOK:
				success.Add(1)
			case http.StatusUnauthorized:
				refusal.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	return success.Load(), refusal.Load()
}

// Keys change while Caddy runs, and their host goes away.
func TestAssertionKeys(t *testing.T) {
	host := newKeyHost(t, keySet(t, "P-256"))
	a, _, file := startAsserting(t, host)
	asked := func(want int64) {
		t.Helper()
		if n := host.asked.Load(); n != want {
			t.Errorf("the keys were fetched %d times, want %d", n, want)
		}
	}
	asked(0) // not before they are needed
	a.present("the first key", a.signed("remote", "P-256", nil), success)
	a.present("the first key of another client", a.signed("another", "P-256", nil), success)
	asked(1)
	rotated := keySet(t, "P-256", "second")
	host.document.Store(&rotated)
	a.present("a new key", a.signed("remote", "second", nil), success)
	asked(2)
	for range 5 { // not for everybody who asks for it
		a.present("no key", a.signed("remote", "stranger", nil), invalidClient)
	}
	asked(2)
	host.document.Store(nil)
	a.present("a known key while the host is down", a.signed("remote", "second", nil), success)

	publish(t, file, keySet(t, "second", "RSA"))
	eventually(t, func() error {
		answer := a.send(t, a.up, revocationRequest{header: elsewhere(), token: newToken(), body: assertionForm(a.signed("file", "second", nil))})
		if answer.status != http.StatusOK {
			return fmt.Errorf("the new key in the file: %d %s", answer.status, answer.body)
		}
		return nil
	})
	a.present("a new key in the file", a.signed("file", "second", nil), success)
	a.present("an old key in the file", a.signed("file", "P-256", nil), invalidClient)
	publish(t, file, []byte(`{"keys":[`))
	a.present("a file half written", a.signed("file", "second", nil), success)
}

// A host of keys that hangs holds up nobody for long, and no other client at all.
func TestAssertionHangingHost(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	arrived := make(chan struct{}, 100)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(release)
	a, _, _ := startAsserting(t, &keyHost{Server: hanging})
	answered := make(chan answer, 3)
	for range 3 {
		body := assertionForm(a.signed("remote", "P-256", nil))
		go func() {
			response, err := http.Post(a.url+"/token/revocation", "application/x-www-form-urlencoded", strings.NewReader(strings.ReplaceAll(body, "TOKEN", "t")))
			if err != nil {
				t.Error(err)
				answered <- answer{}
				return
			}
			_ = response.Body.Close()
			answered <- answer{status: response.StatusCode}
		}()
	}
	<-arrived
	a.present("another client meanwhile", a.signed("inline", "P-256", nil), success)
	for range 3 {
		select {
		case got := <-answered:
			if got.status != http.StatusServiceUnavailable {
				t.Errorf("status %d", got.status)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no answer")
		}
	}
	if n := len(arrived); n != 0 {
		t.Errorf("%d further fetches", n)
	}
}
