package tests

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dial sends bytes as they are, and returns what answers to them.
func (c *caddy) dial(t *testing.T, bytes string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	confidential.raw(bytes)
	if _, err := io.WriteString(conn, bytes); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func readAnswer(t *testing.T, r *bufio.Reader) answer {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(t, response)
}

// Bodies that no HTTP client sends: cut off, broken, or framed in odd ways.
// What did not arrive whole revokes nothing, even if the token was there.
func TestEndpointBrokenBodies(t *testing.T) {
	up := newUpstream(t)
	c := start(t, endpointSite, up)
	head := func(more ...string) string {
		return "POST /token/revocation HTTP/1.1\r\nHost: " + strings.TrimPrefix(c.url, "http://") +
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: " + basic("backend", "backend-secret") +
			"\r\n" + strings.Join(more, "\r\n") + "\r\n\r\n"
	}
	for _, r := range []struct {
		name string
		sent string
		want wanted
	}{
		{"cut off", head("Content-Length: 100") + "token=TOKEN", invalidRequest},
		{"cut off in the middle of the token", head("Content-Length: 100") + "token=TOKEN12345", invalidRequest},
		{"chunks cut off", head("Transfer-Encoding: chunked") + "80\r\ntoken=TOKEN", invalidRequest},
		{"no last chunk", head("Transfer-Encoding: chunked") + "HEXLENGTH\r\ntoken=TOKEN\r\n", invalidRequest},
		{"broken chunk", head("Transfer-Encoding: chunked") + "HEXLENGTH\r\ntoken=TOKEN\r\n" + "zz\r\n", invalidRequest},
		{"chunk without end", head("Transfer-Encoding: chunked") + "3\r\ntoken=TOKEN\r\n0\r\n\r\n", invalidRequest},
		{"many chunks", head("Transfer-Encoding: chunked") + "3\r\ntok\r\nRESTLENGTH;x=y\r\nen=TOKEN\r\n" + "0\r\n\r\n", success},
		{"chunks with trailer", head("Transfer-Encoding: chunked", "Trailer: Authorization") + "HEXLENGTH\r\ntoken=TOKEN\r\n" + "0\r\nAuthorization: x\r\n\r\n", success},
		{"more than its length", head("Content-Length: LENGTH") + "token=TOKEN&token=other", success},
		{"old HTTP", strings.Replace(head("Content-Length: LENGTH"), "HTTP/1.1", "HTTP/1.0", 1) + "token=TOKEN", success},
		{"whole URL", strings.Replace(head("Content-Length: LENGTH"), "POST /", "POST "+c.url+"/", 1) + "token=TOKEN", success},
		{"two Basic in one line", strings.Replace(head("Content-Length: LENGTH"), "Basic ", "Basic x, Basic ", 1) + "token=TOKEN", invalidBasic},
	} {
		t.Run(r.name, func(t *testing.T) {
			token := newToken()
			whole := len("token=" + token)
			fill := strings.NewReplacer("TOKEN", token, "HEXLENGTH", fmt.Sprintf("%x", whole),
				"RESTLENGTH", fmt.Sprintf("%x", whole-len("tok")), "LENGTH", fmt.Sprint(whole))
			conn, answers := c.dial(t, fill.Replace(r.sent))
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			r.want.check(t, http.MethodPost, readAnswer(t, answers))
			status := http.StatusOK
			if r.want.error == "" {
				status = http.StatusUnauthorized
			}
			if a := c.bearer(t, token); a.status != status {
				t.Errorf("the token at the gate: %d, want %d", a.status, status)
			}
		})
	}
	if up.reached.Load() == 0 { // only by the tokens that live
		t.Error("no token lives")
	}

	// A client that waits to be asked for its body gets an answer too.
	t.Run("continue", func(t *testing.T) {
		token := newToken()
		length := fmt.Sprintf("Content-Length: %d", len("token="+token))
		conn, answers := c.dial(t, head(length, "Expect: 100-continue"))
		if a := readAnswer(t, answers); a.status != http.StatusContinue {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if _, err := io.WriteString(conn, "token="+token); err != nil {
			t.Fatal(err)
		}
		success.check(t, http.MethodPost, readAnswer(t, answers))
		for want, request := range map[int]string{
			http.StatusRequestEntityTooLarge: head("Content-Length: 10000000", "Expect: 100-continue"),
			http.StatusUnsupportedMediaType:  head(length, "Content-Encoding: br", "Expect: 100-continue"),
		} {
			conn, answers := c.dial(t, request)
			a := readAnswer(t, answers)
			if a.status == http.StatusContinue { // asked for, to keep the connection
				if _, err := io.WriteString(conn, "token="+token); err != nil {
					t.Fatal(err)
				}
				a = readAnswer(t, answers)
			}
			if a.status != want {
				t.Errorf("%d %s, want %d", a.status, a.body, want)
			}
		}
	})
	// A client that hangs up has asked all the same.
	t.Run("gone", func(t *testing.T) {
		token := newToken()
		conn, _ := c.dial(t, head(fmt.Sprintf("Content-Length: %d", len("token="+token)))+"token="+token)
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		c.soon(t, token, http.StatusUnauthorized)
	})
	// A connection goes on after a refusal whose body was not read.
	t.Run("keep alive", func(t *testing.T) {
		first, second := newToken(), newToken()
		body := "token=" + first
		refused := strings.Replace(head(fmt.Sprintf("Content-Length: %d", len(body))), "x-www-form-urlencoded", "json", 1) + body
		body = "token=" + second
		good := head(fmt.Sprintf("Content-Length: %d", len(body))) + body
		conn, answers := c.dial(t, refused)
		if _, err := io.WriteString(conn, good+good); err != nil {
			t.Fatal(err)
		}
		unsupported.check(t, http.MethodPost, readAnswer(t, answers))
		success.check(t, http.MethodPost, readAnswer(t, answers))
		success.check(t, http.MethodPost, readAnswer(t, answers))
		if a, b := c.bearer(t, first), c.bearer(t, second); a.status != http.StatusOK || b.status != http.StatusUnauthorized {
			t.Errorf("at the gate: %d and %d", a.status, b.status)
		}
	})
}

// A limit that the site sets for all bodies holds here too.
func TestEndpointBodyLimitOfSite(t *testing.T) {
	up := newUpstream(t)
	c := start(t, strings.Replace(endpointSite, "\ttoken_revocation\n", "\trequest_body {\n\t\tmax_size 100\n\t}\n\ttoken_revocation\n", 1), up)
	c.try(t, up, revocationRequest{want: success})
	long := "token=TOKEN&x=" + strings.Repeat("x", 100)
	c.try(t, up, revocationRequest{body: long, chunked: true, want: tooLarge})
	token := newToken()
	if a := c.send(t, up, revocationRequest{body: long, token: token}); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := c.bearer(t, token); a.status != http.StatusOK {
		t.Errorf("the token at the gate: %d", a.status)
	}
}

// All of it over HTTP/2 too, where a refusal ends one stream and not the others.
func TestEndpointHTTP2(t *testing.T) {
	up := newUpstream(t)
	c := start(t, strings.Replace(endpointSite, "auto_https off", "auto_https off\n\tservers {\n\t\tprotocols h1 h2c\n\t}", 1), up)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	post := func(header http.Header, body io.Reader) answer {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, c.url+"/token/revocation", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.ProtoMajor != 2 {
			t.Fatalf("%s %v", response.Proto, err)
		}
		return answer{response.StatusCode, response.Header, string(text)}
	}
	form := fields("Content-Type", "application/x-www-form-urlencoded", "Authorization", basic("backend", "backend-secret"))
	for range 2 {
		token := newToken()
		large := io.MultiReader(strings.NewReader("token="+token+"&x="), strings.NewReader(strings.Repeat("x", 1<<20)))
		tooLarge.check(t, http.MethodPost, post(form, large))
		unsupported.check(t, http.MethodPost, post(fields("Content-Type", "text/plain"), strings.NewReader("token="+token)))
		invalidClient.check(t, http.MethodPost, post(fields("Content-Type", "application/x-www-form-urlencoded"), strings.NewReader("token="+token)))
		if a := c.bearer(t, token); a.status != http.StatusOK {
			t.Errorf("the token at the gate: %d", a.status)
		}
		success.check(t, http.MethodPost, post(form, strings.NewReader("token="+token)))
		if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
			t.Errorf("the token at the gate: %d", a.status)
		}
	}
}
