package tests

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The server gets what the client sent, byte by byte, whichever transport takes
// it there. A proxy adds where it came from, and nothing else.
func TestRelayIsExact(t *testing.T) {
	for name, transport := range map[string]string{"own": "", "of Caddy": "transport http"} {
		t.Run(name, func(t *testing.T) {
			server, up := newRelayServer(t, false), newUpstream(t)
			c := start(t, server.relaying("profile fapi", transport), up)
			host := strings.TrimPrefix(c.url, "http://")
			token := newToken()
			body := "token=" + token + "&&token_type_hint=%41+b&x=%C3%BC"
			request := "POST /token/revocation?tenant=a%20b HTTP/1.1\r\nHost: " + host + "\r\n" +
				"content-type: application/x-www-form-urlencoded;charset=UTF-8\r\n" +
				"authorization: Basic dGhlaXJzOng=\r\n" +
				"accept: application/json\r\n" +
				"x-fapi-interaction-id: 93bac548-d2de-4546-b106-880a5018460d\r\n" +
				"x-fapi-customer-ip-address: 192.0.2.7\r\n" +
				"x-customer-user-agent: a  b\r\n" +
				"user-agent: App/1\r\n" +
				"dpop: e30.e30.\r\n" +
				"accept-language: de\r\n" +
				"accept-language: en\r\n" +
				"x-forwarded-for: 203.0.113.1\r\n" +
				"x-forwarded-proto: https\r\n" +
				"x-forwarded-host: evil.example\r\n" +
				"te: trailers\r\n" +
				"keep-alive: 5\r\n" +
				"x-hop: 1\r\n" +
				"connection: x-hop, close\r\n" +
				"expect: 100-continue\r\n" +
				fmt.Sprintf("content-length: %d\r\n\r\n", len(body))
			conn, answers := c.dial(t, request)
			if a := readAnswer(t, answers); a.status != http.StatusContinue {
				t.Fatalf("status %d", a.status)
			}
			if _, err := io.WriteString(conn, body); err != nil {
				t.Fatal(err)
			}
			if a := readAnswer(t, answers); a.status != http.StatusNoContent {
				t.Fatalf("status %d", a.status)
			}
			head, sent, _ := strings.Cut(server.received(), "\r\n\r\n")
			if sent != body {
				t.Errorf("the body is %q", sent)
			}
			lines := strings.Split(head, "\r\n")
			slices.Sort(lines[1:])
			want := []string{
				"POST /oauth/revoke?tenant=a%20b HTTP/1.1",
				"Accept-Language: de",
				"Accept-Language: en",
				"Accept: application/json",
				"Authorization: Basic dGhlaXJzOng=",
				fmt.Sprintf("Content-Length: %d", len(body)),
				"Content-Type: application/x-www-form-urlencoded;charset=UTF-8",
				"Dpop: e30.e30.",
				"Host: " + strings.TrimPrefix(server.URL, "http://"),
				"User-Agent: App/1",
				"X-Customer-User-Agent: a  b",
				"X-Fapi-Customer-Ip-Address: 192.0.2.7",
				"X-Fapi-Interaction-Id: 93bac548-d2de-4546-b106-880a5018460d",
				"X-Forwarded-For: 127.0.0.1",
				"X-Forwarded-Host: " + host,
				"X-Forwarded-Proto: http",
			}
			for i := range lines { // localhost has two addresses
				lines[i] = strings.Replace(lines[i], "X-Forwarded-For: ::1", "X-Forwarded-For: 127.0.0.1", 1)
			}
			if !slices.Equal(lines, want) {
				t.Errorf("the server got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
			}
			if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
				t.Errorf("the token at the gate: %d", a.status)
			}
			// What the client does not say, nobody says.
			if status := c.raw(t, "POST /token/revocation HTTP/1.1\r\nHost: "+host+"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\ntoken=a"); status != http.StatusNoContent {
				t.Errorf("status %d", status)
			}
			if got := server.received(); strings.Contains(got, "Accept") || strings.Contains(got, "User-Agent") {
				t.Errorf("the server got\n%s", got)
			}
		})
	}
}

// relayAnswers are what servers answer, and what becomes of it. Where the server
// did not say yes, the token lives.
var relayAnswers = []struct {
	name    string
	answer  http.HandlerFunc
	status  int
	silence bool // is 503 or 504
}{
	{"200", says(200, "{}"), 0, false},
	{"200 without a body", says(200, ""), 0, false},
	{"204", says(204, ""), 0, false},
	{"400", says(400, `{"error":"unsupported_token_type"}`), 400, false},
	{"401", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic realm=theirs")
		says(401, "go away")(w, r)
	}, 401, false},
	{"429", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "9")
		w.Header().Set("Content-Type", "text/x")
		says(429, "slow")(w, r)
	}, 429, false},
	{"500", says(500, ""), 502, false},
	{"503", says(503, ""), 502, false},
	{"redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}, 502, false},
	{"too large", says(200, strings.Repeat("x", 64<<10+1)), 502, false},
	{"too large a refusal", says(400, strings.Repeat("x", 64<<10+1)), 502, false},
	{"not HTTP", bytesThen("hello\r\n\r\n", false), 502, false},
	{"nothing", bytesThen("", false), 502, false},
	{"reset", bytesThen("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true), 502, false},
	{"cut off", bytesThen("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", false), 502, false},
	{"another protocol", bytesThen("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", false), 502, false},
	{"silence", hang, 0, true},
	{"half an answer", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("{"))
		_ = http.NewResponseController(w).Flush()
		hang(w, r)
	}, 0, true},
}

func TestRelayAnswers(t *testing.T) {
	t.Parallel()
	for profile, expected := range map[string]struct{ success, silence int }{
		"rfc7009": {200, 503}, "session": {200, 503}, "json": {204, 504}, "fapi": {204, 504},
	} {
		t.Run(profile, func(t *testing.T) {
			server, up := newRelayServer(t, false), newUpstream(t)
			config := server.relaying("profile "+profile, "")
			patient, waitsOneSecond := start(t, config, up), start(t, impatient(config, "1s"), up)
			for _, test := range relayAnswers {
				t.Run(test.name, func(t *testing.T) {
					c := patient
					if test.silence {
						c = waitsOneSecond
					}
					server.answers(test.answer)
					token, want, gate := newToken(), test.status, http.StatusOK
					switch {
					case test.silence:
						want = expected.silence
					case want == 0:
						want, gate = expected.success, http.StatusUnauthorized
					}
					a := c.post(t, url.Values{"token": {token}, "client_id": {"theirs"}}, "", "")
					if a.status != want || a.header.Get("Cache-Control") != "no-store" {
						t.Errorf("%d %v %s, want %d", a.status, a.header, a.body, want)
					}
					if (profile == "fapi") != (len(a.header.Get("X-Fapi-Interaction-Id")) == 36) {
						t.Errorf("the id is %q", a.header.Get("X-Fapi-Interaction-Id"))
					}
					if (a.header.Get("Retry-After") != "") != (want == 503 || want == 429) {
						t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
					}
					switch {
					case want == 401 && (a.body != "go away" || a.header.Get("WWW-Authenticate") != "Basic realm=theirs"),
						want == 429 && (a.body != "slow" || a.header.Get("Retry-After") != "9" || a.header.Get("Content-Type") != "text/x"),
						want == 400 && a.body != `{"error":"unsupported_token_type"}`:
						t.Errorf("it does not pass through: %v %s", a.header, a.body)
					}
					if a := c.bearer(t, token); a.status != gate {
						t.Errorf("the token at the gate: %d, want %d", a.status, gate)
					}
				})
			}
			for _, c := range []*caddy{patient, waitsOneSecond} {
				if strings.Contains(c.logs.String(), "opaque-") {
					t.Error("a token stands in the log")
				}
			}
		})
	}
}

// What is wrong for this endpoint does not reach the server, and a client that
// is configured here has to be who it says.
func TestRelayRefusesFirst(t *testing.T) {
	server, up := newRelayServer(t, false), newUpstream(t)
	c := start(t, server.relaying("", ""), up)
	token := newToken()
	for _, r := range []revocationRequest{
		{name: "wrong secret", header: fields("Authorization", basic("backend", "wrong")), want: invalidBasic},
		{name: "no secret", header: without("Authorization"), body: "token=TOKEN&client_id=backend", want: invalidClient},
		{name: "two methods", body: "token=TOKEN&client_secret=x", want: invalidRequest},
		{name: "no token", header: without("Authorization"), body: "client_id=theirs", want: invalidRequest},
		{name: "JSON", header: fields("Content-Type", "application/json"), want: unsupported},
	} {
		t.Run(r.name, func(t *testing.T) {
			r.token = token
			r.want.check(t, http.MethodPost, c.send(t, up, r))
		})
	}
	if server.asked.Load() != 0 {
		t.Errorf("the server was asked %d times", server.asked.Load())
	}
	if a := c.bearer(t, token); a.status != http.StatusOK {
		t.Errorf("the token at the gate: %d", a.status)
	}
	c.revoke(t, token)
	if server.asked.Load() != 1 {
		t.Errorf("the server was asked %d times", server.asked.Load())
	}
}

// The issuers that are configured here need not be those of the server, whose
// success counts: what it says is revoked does not pass.
func TestRelayOfTokensOfOthers(t *testing.T) {
	as, server, up := newAuthority(t), newRelayServer(t, false), newUpstream(t)
	c := judged(t, up, "issuer "+as.URL+" {\n audience api\n}", "relay "+server.URL+"/oauth/revoke")
	for name, token := range map[string]string{
		"of another issuer":    newAuthority(t).token(nil),
		"for another audience": as.token(claimSet{"aud": "other"}),
		"symmetric":            jwtWithHeader(`{"alg":"HS256"}`, `{"iss":"`+as.URL+`"}`),
	} {
		c.revoke(t, token)
		if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	forged := signed(t, newIssuerKey(t), "at+jwt", claimSet{"iss": as.URL})
	c.revoke(t, forged)
	if a := c.bearer(t, forged); a.status != http.StatusOK {
		t.Errorf("forged, and stored: %d", a.status)
	}
}

func TestRelayWithoutServer(t *testing.T) {
	server := newRelayServer(t, false)
	c := start(t, server.relaying("", ""), newUpstream(t))
	server.Close()
	if a := c.post(t, url.Values{"token": {"t"}}, "backend", "backend-secret"); a.status != http.StatusBadGateway {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TLS with an authority of one's own, as for reverse_proxy.
func TestRelayTLS(t *testing.T) {
	server, up := newRelayServer(t, true), newUpstream(t)
	c := start(t, server.relaying("", ""), up)
	form := url.Values{"token": {newToken()}}
	if a := c.post(t, form, "backend", "backend-secret"); a.status != http.StatusBadGateway || server.asked.Load() != 0 {
		t.Errorf("not trusted: %d %s", a.status, a.body)
	}
	eventually(t, func() error { // what Caddy prints is read beside its answers
		if !strings.Contains(c.logs.String(), "certificate") {
			return errors.New("the log does not say why")
		}
		return nil
	})
	trusting := server.relaying("", "transport http {\ntls_trust_pool file "+server.trust(t)+"\n}")
	if err := c.reload(trusting); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections() // which the reload closes
	opened := server.opened.Load()
	for range 30 {
		if a := c.post(t, form, "backend", "backend-secret"); a.status != http.StatusOK {
			t.Fatalf("trusted: %d %s", a.status, a.body)
		}
	}
	if n := server.opened.Load() - opened; n > fewConnections {
		t.Errorf("%d connections", n)
	}
}

func TestRelayReusesConnections(t *testing.T) {
	server := newRelayServer(t, false)
	c := start(t, server.relaying("", ""), newUpstream(t))
	for i := range 60 {
		server.answers(says([]int{200, 400, 204}[i%3], ""))
		c.post(t, url.Values{"token": {"t"}}, "backend", "backend-secret")
	}
	if server.asked.Load() != 60 || server.opened.Load() > fewConnections {
		t.Errorf("%d requests, %d connections", server.asked.Load(), server.opened.Load())
	}
}

// fewConnections are those that dozens of requests may need, one after the other. One
// would do; but net/http gives up a connection whose answer comes more than 50 ms
// before it has noticed that the request was sent, as it can on a busy machine.
const fewConnections = 4
