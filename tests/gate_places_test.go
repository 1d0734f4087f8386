package tests

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// everywhere looks for tokens in every kind of place.
var everywhere = siteWith(
	"token query token",
	"token cookie session",
	"token header X-Token",
	"token header X-Auth-Token Token JWT",
	"token header Sec-WebSocket-Protocol Bearer",
	"token form access_token 4KiB",
)

// randomToken is an opaque token that nobody has seen before.
func randomToken() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b)
	return confidential.add("tok-" + base64.RawURLEncoding.EncodeToString(b))
}

// oddToken has what tokens of base64 have that is not plain in a URL.
func oddToken() string { return confidential.add("a+b/" + randomToken() + "==") }

// looksLikeJWT is what a gate that does not verify takes for a JWT.
func looksLikeJWT() string {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return confidential.add(encode(`{"alg":"RS256","typ":"JWT"}`) + "." + encode(`{"sub":"`+randomToken()+`"}`) + "." + encode(randomToken()))
}

// presentation is one way in which a request can carry one token or two.
type presentation struct {
	name string
	one  func(r *http.Request, token string)
	two  func(r *http.Request, first, second string)
	// refused is the status if one of the tokens is revoked, 401 unless set;
	// passes is the status if none is, 200 unless set.
	refused, passes int
	dpop            bool
}

// presentations runs each way with a revoked token, in both orders where there
// are two, and with tokens that are not revoked.
func presentations(t *testing.T, c *caddy, up *upstream, ways []presentation) {
	for _, kind := range []struct {
		name string
		make func() string
	}{{"opaque", randomToken}, {"odd", oddToken}, {"jwt", looksLikeJWT}} {
		revoked := kind.make()
		c.revoke(t, revoked)
		for _, way := range ways {
			t.Run(way.name+"/"+kind.name, func(t *testing.T) {
				refused, passes := way.refused, way.passes
				if refused == 0 {
					refused = http.StatusUnauthorized
				}
				if passes == 0 {
					passes = http.StatusOK
				}
				if way.two == nil {
					way.check(t, c, up, refused, func(r *http.Request) { way.one(r, revoked) })
					way.check(t, c, up, passes, func(r *http.Request) { way.one(r, kind.make()) })
					return
				}
				way.check(t, c, up, refused, func(r *http.Request) { way.two(r, revoked, kind.make()) })
				way.check(t, c, up, refused, func(r *http.Request) { way.two(r, kind.make(), revoked) })
				way.check(t, c, up, passes, func(r *http.Request) { way.two(r, kind.make(), kind.make()) })
			})
		}
	}
}

func (p *presentation) check(t *testing.T, c *caddy, up *upstream, status int, put func(*http.Request)) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, c.url+"/api", nil)
	if err != nil {
		t.Fatal(err)
	}
	put(r)
	before := up.reached.Load()
	a := do(t, r)
	if a.status != status {
		t.Errorf("%d %s, want %d", a.status, a.body, status)
	}
	reached := up.reached.Load() - before
	if status == http.StatusOK {
		if reached != 1 {
			t.Errorf("%d requests reached the upstream, want 1", reached)
		}
		return
	}
	if reached != 0 {
		t.Errorf("a refused request reached the upstream")
	}
	scheme := "Bearer"
	if p.dpop {
		scheme = "DPoP"
	}
	wantRefusal(t, a, scheme)
}

// wantRefusal asserts what every refusal has to say.
func wantRefusal(t *testing.T, a answer, scheme string) {
	t.Helper()
	if got := a.header["Cache-Control"]; len(got) != 1 || got[0] != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	want := ""
	switch a.status {
	case http.StatusUnauthorized:
		want = scheme + ` realm="restricted", error="invalid_token", error_description="The access token was revoked"`
	case http.StatusBadRequest:
		want = scheme + ` realm="restricted", error="invalid_request", error_description="The request is malformed"`
	}
	if got := a.header.Get("WWW-Authenticate"); got != want {
		t.Errorf("WWW-Authenticate is %q, want %q", got, want)
	}
	if a.body != "" {
		t.Errorf("the body is %q", a.body)
	}
}

// header is a presentation's function that sets a field to its values, of
// which each "%s" is the token.
func header(name string, values ...string) func(*http.Request, string) {
	return func(r *http.Request, token string) {
		for _, value := range values {
			r.Header[name] = append(r.Header[name], strings.ReplaceAll(value, "%s", token))
		}
	}
}

// headers is the same for two tokens, "%1" and "%2".
func headers(name string, values ...string) func(*http.Request, string, string) {
	return func(r *http.Request, first, second string) {
		for _, value := range values {
			r.Header[name] = append(r.Header[name], strings.NewReplacer("%1", first, "%2", second).Replace(value))
		}
	}
}

func query(raw string) func(*http.Request, string) {
	return func(r *http.Request, token string) {
		r.URL.RawQuery = strings.ReplaceAll(raw, "%s", url.QueryEscape(token))
	}
}

func queries(raw string) func(*http.Request, string, string) {
	return func(r *http.Request, first, second string) {
		r.URL.RawQuery = strings.NewReplacer("%1", url.QueryEscape(first), "%2", url.QueryEscape(second)).Replace(raw)
	}
}

// everyByte percent-encodes all of a text.
func everyByte(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func TestGateAuthorization(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	const (
		malformed = http.StatusBadRequest
		nbsp      = "\xc2\xa0"
	)
	authorization := func(values ...string) func(*http.Request, string) { return header("Authorization", values...) }
	presentations(t, c, up, []presentation{
		{name: "Bearer", one: authorization("Bearer %s")},
		{name: "bearer", one: authorization("bearer %s")},
		{name: "BEARER", one: authorization("BEARER %s")},
		{name: "bEaReR", one: authorization("bEaReR %s")},
		{name: "DPoP", one: authorization("DPoP %s"), dpop: true},
		{name: "dpop", one: authorization("dpop %s"), dpop: true},
		{name: "spaces", one: authorization("  Bearer    %s  ")},
		{name: "tab", one: authorization("Bearer\t%s")},
		{name: "tabs and spaces", one: authorization("\tBearer \t %s \t")},

		{name: "two fields", two: headers("Authorization", "Bearer %1", "Bearer %2"), refused: malformed, passes: malformed},
		{name: "two fields of one token", one: authorization("Bearer %s", "Bearer %s"), refused: malformed, passes: malformed},
		{name: "Basic beside", one: authorization("Basic dXNlcjpwYXNz", "Bearer %s"), refused: malformed, passes: malformed},
		{name: "an empty field beside", one: authorization("", "Bearer %s"), refused: malformed, passes: malformed},

		{name: "comma", two: headers("Authorization", "Bearer %1,%2"), refused: malformed, passes: malformed},
		{name: "comma and scheme", two: headers("Authorization", "Bearer %1, Bearer %2"), refused: malformed, passes: malformed},
		{name: "comma behind", one: authorization("Bearer %s,"), refused: malformed, passes: malformed},
		{name: "comma before", one: authorization("Bearer ,%s"), refused: malformed, passes: malformed},
		{name: "space between", two: headers("Authorization", "Bearer %1 %2"), refused: malformed, passes: malformed},
		{name: "scheme twice", one: authorization("Bearer Bearer %s"), refused: malformed, passes: malformed},
		{name: "NBSP before", one: authorization("Bearer " + nbsp + "%s"), refused: malformed, passes: malformed},
		{name: "NBSP behind", one: authorization("Bearer %s" + nbsp), refused: malformed, passes: malformed},
		{name: "a byte of no character", one: authorization("Bearer %s\xa0"), refused: malformed, passes: malformed},
		{name: "no token", one: authorization("Bearer"), refused: malformed, passes: malformed},
		{name: "no token but spaces", one: authorization("Bearer   "), refused: malformed, passes: malformed},

		{name: "another scheme", one: authorization("Token %s")},
		{name: "another scheme and spaces", one: authorization("JWT   \t%s")},
		{name: "no scheme", one: authorization("%s")},
		{name: "no space", one: authorization("Bearer%s")},
		{name: "colon", one: authorization("Bearer:%s")},
		{name: "colon and space", one: authorization("bearer: %s")},
		{name: "equals sign", one: authorization("Bearer=%s")},
		{name: "NBSP for the space", one: authorization("Bearer" + nbsp + "%s")},
		{name: "NBSP in Latin 1 for the space", one: authorization("Bearer\xa0%s")},
		{name: "seven other characters", one: authorization("1234567%s")},
		{name: "seven other characters with DPoP", one: authorization("DPoP 12%s"), dpop: true},
		{name: "parameter", one: authorization(`Token token="%s", nonce="x"`)},
		{name: "parameter behind others", one: authorization(`OAuth realm="x",oauth_token="%s"`)},
		// What Rails takes for the token.
		{name: "parameter with Bearer", one: authorization(`Bearer token="%s"`)},
		{name: "parameter with Bearer, unquoted", one: authorization(`Bearer token=%s`)},
		{name: "quoted", one: authorization(`Bearer "%s"`)},
		{name: "quote behind", one: authorization(`Bearer %s"`)},
		{name: "parameter behind", one: authorization(`Bearer %s;nonce=x`)},
		{name: "parameter before", one: authorization(`Bearer ;%s`)},
	})

	for _, value := range []string{"", "Basic dXNlcjpwYXNz", `Digest username="bob", realm="x", uri="/"`, "Negotiate YII="} {
		way := presentation{}
		way.check(t, c, up, http.StatusOK, func(r *http.Request) { r.Header.Set("Authorization", value) })
	}
}

func TestGateQuery(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	presentations(t, c, up, []presentation{
		{name: "access_token", one: query("access_token=%s")},
		{name: "configured", one: query("token=%s")},
		{name: "among others", one: query("page=2&access_token=%s&sort=name")},
		{name: "encoded name", one: query("%61ccess%5ftoken=%s")},
		{name: "encoded name in upper case", one: query("%61ccess%5Ftoken=%s")},
		{name: "encoded value", one: func(r *http.Request, token string) { r.URL.RawQuery = "access_token=" + everyByte(token) }},
		{name: "wholly encoded", one: func(r *http.Request, token string) {
			r.URL.RawQuery = everyByte("access_token") + "=" + everyByte(token)
		}},
		{name: "encoded as ASP", one: query("%u0061ccess_token=%s")},
		{name: "twice", two: queries("access_token=%1&access_token=%2")},
		{name: "two names", two: queries("access_token=%1&token=%2")},
		{name: "semicolon", two: queries("access_token=%1;access_token=%2")},
		{name: "semicolon behind another", one: query("page=2;access_token=%s")},
		{name: "semicolon before another", one: query("access_token=%s;page=2")},
		{name: "semicolons and ampersands", two: queries("a=b;access_token=%1&c=d;access_token=%2;e")},
		{name: "upper case", one: query("ACCESS_TOKEN=%s")},
		{name: "mixed case", one: query("Access_Token=%s")},
		{name: "dot", one: query("access.token=%s")},
		{name: "space", one: query("access+token=%s")},
		{name: "encoded space", one: query("access%20token=%s")},
		{name: "open bracket", one: query("access[token=%s")},
		{name: "space before the name", one: query("+access_token=%s")},
		{name: "array", one: query("access_token[]=%s")},
		{name: "array, encoded", one: query("access_token%5B%5D=%s")},
		{name: "array with a key", one: query("access_token[0]=%s")},
		{name: "array twice", two: queries("access_token[]=%1&access_token[]=%2")},
		{name: "NUL behind the name", one: query("access_token%00x=%s")},
		// What qs, and so Express 4, reads as access_token.
		{name: "brackets around", one: query("[access_token]=%s")},
		{name: "brackets around, encoded", one: query("%5Baccess_token%5D=%s")},
		{name: "equals sign within brackets", one: query("[access_token]x=y]=%s")},
		{name: "equals sign within encoded brackets", one: query("[access_token]x=y%5D=%s")},
		{name: "dot before", one: query(".access_token=%s")},
		// And Rack 2.
		{name: "bracket before", one: query("]access_token=%s")},
		{name: "bracket behind", one: query("access_token]=%s")},
		{name: "question mark before", one: query("?access_token=%s")},
		{name: "space around the value", one: query("access_token=+%s%20")},
		{name: "line break around the value", one: query("access_token=%0d%0a%s%0a")},
		{name: "NBSP around the value", one: query("access_token=%c2%a0%s%c2%a0")},
		{name: "quotes around the value", one: query("access_token=%22%s%22")},
		{name: "NUL behind the value", one: query("access_token=%s%00")},
		{name: "Authorization beside", two: func(r *http.Request, first, second string) {
			r.Header.Set("Authorization", "Bearer "+first)
			r.URL.RawQuery = "access_token=" + url.QueryEscape(second)
		}},
		{name: "broken encoding beside", one: query("a=%zz&access_token=%s&b=%")},
		{name: "empty one beside", one: query("access_token=&access_token&access_token=%s")},
	})
	t.Run("plus", func(t *testing.T) {
		for _, token := range []string{"a+b" + randomToken(), "a b" + randomToken()} {
			c.revoke(t, token)
			// Each as both readers would write it.
			for _, raw := range []string{
				url.QueryEscape(token), url.PathEscape(token), strings.ReplaceAll(token, " ", "+"),
			} {
				new(presentation).check(t, c, up, http.StatusUnauthorized, func(r *http.Request) { r.URL.RawQuery = "access_token=" + raw })
			}
		}
	})
	t.Run("absolute form", func(t *testing.T) {
		revoked := randomToken()
		c.revoke(t, revoked)
		head := "GET " + c.url + "/api?access_token=" + revoked + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
		if got := c.raw(t, head); got != http.StatusUnauthorized {
			t.Errorf("%d", got)
		}
	})
}

func TestGateCookie(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	const malformed = http.StatusBadRequest
	cookie := func(values ...string) func(*http.Request, string) { return header("Cookie", values...) }
	escaped := func(value string) func(*http.Request, string) {
		return func(r *http.Request, token string) { cookie(value)(r, url.QueryEscape(token)) }
	}
	presentations(t, c, up, []presentation{
		{name: "alone", one: cookie("session=%s")},
		{name: "among others", one: cookie("a=b; session=%s; c=d")},
		{name: "no space between", one: cookie("a=b;session=%s;c=d")},
		{name: "twice", two: headers("Cookie", "session=%1; session=%2")},
		{name: "two fields", two: headers("Cookie", "session=%1", "session=%2")},
		{name: "three fields", one: cookie("a=b", "session=%s", "c=d")},
		{name: "quoted", one: cookie(`session="%s"`)},
		{name: "spaces", one: cookie(" session = %s ;a=b")},
		{name: "upper case", one: cookie("SESSION=%s")},
		{name: "encoded name", one: cookie("%73ession=%s")},
		{name: "encoded value", one: escaped("session=%s")},
		{name: "wholly encoded value", one: func(r *http.Request, token string) { r.Header.Set("Cookie", "session="+everyByte(token)) }},
		{name: "array", one: cookie("session[]=%s")},
		{name: "comma before", one: cookie("a=b, session=%s")},
		{name: "space before", one: cookie("a=b session=%s")},
		{name: "space before, and within", one: cookie("a=b session = %s c=d")},
		{name: "version 1", one: cookie(`$Version="1"; session="%s"; $Path="/"`)},
		{name: "NBSP before the name", one: cookie("a=b;\xc2\xa0session=%s")},
		{name: "NBSP behind the name", one: cookie("session\xa0=%s")},
		{name: "behind what is no cookie", one: cookie("=; ;;=x; a b=c; \x80=1; session=%s")},
		{name: "before what is no cookie", one: cookie("session=%s; =; a\"b; [x]")},
		{name: "backslash", one: cookie(`session=\%s`), refused: malformed, passes: malformed},
		{name: "escaped quotes", one: cookie(`session="\"%s\""`), refused: malformed, passes: malformed},
		{name: "open quote", one: cookie(`session="%s`), refused: malformed, passes: malformed},
		{name: "space within", two: headers("Cookie", "session=%1 %2"), refused: malformed, passes: malformed},
		{name: "NBSP behind", one: cookie("session=%s\xc2\xa0"), refused: malformed, passes: malformed},
		{name: "comma within", two: headers("Cookie", "session=%1,%2"), refused: malformed, passes: malformed},
		{name: "Authorization beside", two: func(r *http.Request, first, second string) {
			r.Header.Set("Authorization", "Bearer "+first)
			r.Header.Set("Cookie", "session="+second)
		}},
	})
}

func TestGateHeader(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	k8s := func(value string) string {
		return "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(value))
	}
	presentations(t, c, up, []presentation{
		{name: "X-Token", one: header("X-Token", "%s")},
		{name: "lower case", one: header("x-token", "%s")},
		{name: "two fields", two: headers("X-Token", "%1", "%2")},
		{name: "list", two: headers("X-Token", "%1, %2")},
		{name: "list without spaces", two: headers("X-Token", "%1,%2")},
		{name: "list in two fields", two: headers("X-Token", "a, %1", "b,,%2, ")},
		{name: "spaces", one: header("X-Token", "\t %s \t")},
		{name: "quoted", one: header("X-Token", `"%s"`)},
		{name: "NBSP around", one: header("X-Token", "\xc2\xa0%s\xa0")},
		{name: "with a scheme that is not configured", one: header("X-Token", "Bearer %s")},
		{name: "with a scheme", one: header("X-Auth-Token", "Token %s")},
		{name: "with a scheme in other case", one: header("X-Auth-Token", "tOKEN %s")},
		{name: "with another scheme", one: header("X-Auth-Token", "jwt %s")},
		{name: "with a scheme and a colon", one: header("X-Auth-Token", "Token: %s")},
		{name: "without its scheme", one: header("X-Auth-Token", "%s")},
		{name: "with schemes in a list", two: headers("X-Auth-Token", "JWT %1, Token %2")},
		{name: "WebSocket protocol", one: header("Sec-WebSocket-Protocol", "chat, %s")},
		{name: "WebSocket protocols", two: headers("Sec-WebSocket-Protocol", "%1, %2, chat")},
		{name: "WebSocket protocol behind a word", one: header("Sec-WebSocket-Protocol", "bearer.%s, chat")},
		{name: "WebSocket protocol behind a word and a dash", one: header("Sec-Websocket-Protocol", "Bearer-%s")},
		{name: "WebSocket protocol as in Kubernetes", one: func(r *http.Request, token string) {
			r.Header.Set("Sec-WebSocket-Protocol", "v4.channel.k8s.io, "+k8s(token))
		}},
		{name: "WebSocket protocols as in Kubernetes", two: func(r *http.Request, first, second string) {
			r.Header["Sec-Websocket-Protocol"] = []string{k8s(first) + "==", k8s(second)}
		}},
	})
}

// TestGateHeaderSpellings looks at what CGI, and what descends from it, does not
// tell apart. Caddy drops such fields itself, unless it is told not to.
func TestGateHeaderSpellings(t *testing.T) {
	up := newUpstream(t)
	// Whoever allows these spellings has to hide them from the log: here with all
	// other fields.
	hidden := strings.ReplaceAll(everywhere, "auto_https off", `auto_https off
	log {
		format filter {
			request>headers delete
			request>uri regexp "\?.*" "?REDACTED"
		}
	}`)
	allowed := strings.ReplaceAll(hidden, "auto_https off", `auto_https off
	servers {
		expected_underscore_headers x_token x_auth_token
		expected_dot_headers x.token
	}`)
	c := start(t, strings.ReplaceAll(allowed, "token header X-Token", "token header X-Token\n\t\ttoken header x_key"), up)
	presentations(t, c, up, []presentation{
		{name: "underscore", one: header("X_Token", "%s")},
		{name: "underscore in lower case", one: header("x_token", "%s")},
		{name: "dot", one: header("X.Token", "%s")},
		{name: "two spellings", two: func(r *http.Request, first, second string) {
			r.Header["x.token"], r.Header["x_token"] = []string{first}, []string{second}
		}},
		{name: "underscores and a scheme", one: header("x_auth_token", "Token %s")},
		{name: "configured with an underscore", one: header("X-Key", "%s")},
	})

	// Nothing else reaches the API under another spelling.
	d := start(t, hidden, up)
	revoked := randomToken()
	d.revoke(t, revoked)
	for _, name := range []string{"x_token", "x.token", "X_Auth-Token"} {
		new(presentation).check(t, d, up, http.StatusOK, func(r *http.Request) { r.Header[name] = []string{revoked} })
		up.mu.Lock()
		got := fmt.Sprint(up.last.Header)
		up.mu.Unlock()
		if strings.Contains(got, revoked) {
			t.Errorf("%s reached the upstream: %s", name, got)
		}
	}
}

func TestGateTooManyCandidates(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	revoked := randomToken()
	c.revoke(t, revoked)
	var way presentation
	many := func(n int) string { return strings.Repeat("access_token=x&", n) }
	way.check(t, c, up, http.StatusOK, func(r *http.Request) { r.URL.RawQuery = many(64) })
	way.check(t, c, up, http.StatusUnauthorized, func(r *http.Request) { r.URL.RawQuery = many(63) + "access_token=" + revoked })
	way.check(t, c, up, http.StatusBadRequest, func(r *http.Request) { r.URL.RawQuery = many(65) })
	way.check(t, c, up, http.StatusBadRequest, func(r *http.Request) { r.URL.RawQuery = many(64) + "access_token=" + revoked })
	way.check(t, c, up, http.StatusBadRequest, func(r *http.Request) {
		r.Header.Set("X-Token", strings.Repeat("x,", 1000)+revoked)
	})
	way.check(t, c, up, http.StatusBadRequest, func(r *http.Request) {
		r.Header.Set("Cookie", strings.Repeat("session=x;", 1000)+"session="+revoked)
	})
}

// TestGateControlCharacters sends what no client library would.
func TestGateControlCharacters(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	revoked := randomToken()
	c.revoke(t, revoked)
	for _, line := range []string{
		"Authorization: Bearer \x00%s", "Authorization: Bearer\v%s", "Authorization: Bearer\f%s", "Authorization: Bearer %s\x7f",
		"Authorization: Bearer \x1f%s", "Authorization: Bearer\r%s", "Authorization : Bearer %s",
		"Authorization\t: Bearer %s", "Authorization\x00: Bearer %s", "Cookie: session=%s\x01", "X-Token: \x1b%s",
		"X-Other: x\nAuthorization: Bearer %s", "X-Token: x\r\n\t%s", "X Token: %s",
		"Authorization: Bearer\r\n %s", "Authorization:\r\n Bearer %s",
	} {
		line = strings.ReplaceAll(line, "%s", revoked)
		status := c.raw(t, "GET /api HTTP/1.1\r\nHost: localhost\r\nX-First: x\r\n"+line+"\r\n\r\n")
		if status != http.StatusBadRequest && status != http.StatusUnauthorized {
			t.Errorf("%q: %d", line, status)
		}
	}
	if n := up.reached.Load(); n > 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// raw sends a request as it stands, and returns the status of the answer.
func (c *caddy) raw(t *testing.T, request string) int {
	t.Helper()
	return c.exchange(t, request, func(net.Conn) {})
}

// rawAndClose is raw for a client that says that nothing follows.
func (c *caddy) rawAndClose(t *testing.T, request string) int {
	t.Helper()
	return c.exchange(t, request, func(conn net.Conn) { _ = conn.(*net.TCPConn).CloseWrite() })
}

func (c *caddy) exchange(t *testing.T, request string, sent func(net.Conn)) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	confidential.raw(request)
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	sent(conn)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
