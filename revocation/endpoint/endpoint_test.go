package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func newEndpoint(t *testing.T) *Endpoint {
	t.Helper()
	secret, err := PlainSecret("secret")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{
		Clients: clients(t, Client{ID: "id", Secret: secret}, Client{ID: "public", Origins: []string{"https://app.example"}}),
		Retain:  time.Hour, Realm: `the "realm" \`,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var errAway = errors.New("the denylist is away")

func away(context.Context) (*revocation.Denylist, error) { return nil, errAway }

func request(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token/revocation", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("id", "secret")
	return r
}

// What is not done is not said, and the outcome says why.
func TestServeWithoutDenylist(t *testing.T) {
	w := httptest.NewRecorder()
	done := newEndpoint(t).Serve(away, w, request("token=t0ken"))
	if done.Status != http.StatusServiceUnavailable || done.Client != "id" || !errors.Is(done.Err, errAway) || done.Error == "" || len(done.Records) != 0 {
		t.Errorf("%+v", done)
	}
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" || strings.Contains(w.Body.String(), "away") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A refused request does not even ask for the denylist, and its outcome holds
// nothing of what was sent.
func TestServeRefusesFirst(t *testing.T) {
	asked := func(context.Context) (*revocation.Denylist, error) {
		t.Error("asked for the denylist")
		return nil, errAway
	}
	for _, test := range []struct {
		body   string
		change func(*http.Request)
		status int
	}{
		{"token=t0ken", func(r *http.Request) { r.Method = http.MethodGet }, 405},
		{"token=t0ken", func(r *http.Request) { r.URL.RawQuery = "token=t0ken" }, 400},
		{"token=t0ken", func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		{"token=t0ken", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
		{"token=t0ken", func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		{"token=t0ken", func(r *http.Request) { r.SetBasicAuth("id", "t0ken") }, 401},
		{"token=t0ken", func(r *http.Request) { r.SetBasicAuth("t0ken", "secret") }, 401},
		{"token=t0ken&token=t0ken", nil, 400},
		{"token=t0ken&client_secret=t0ken", nil, 400},
		{"token=t0ken&client_id=t0ken", nil, 400},
		{"token=&t0ken", nil, 400},
		{"token=t0ken%", nil, 400},
		{"token=t0ken" + strings.Repeat("x", maxBody), nil, 413},
		{"token=eyJhbGciOiJSUzI1NiJ9.eyJhdF9oYXNoIjoidDBrZW4ifQ.t0ken", nil, 400},
	} {
		r, w := request(test.body), httptest.NewRecorder()
		if test.change != nil {
			test.change(r)
		}
		done := newEndpoint(t).Serve(asked, w, r)
		if w.Code != test.status || done.Status != test.status || done.Error == "" || done.Err != nil || len(done.Records) != 0 {
			t.Errorf("%s: %d %+v, want %d", test.body, w.Code, done, test.status)
		}
		if said := fmt.Sprintf("%+v %s %v", done, w.Body, w.Header()); strings.Contains(said, "t0ken") {
			t.Errorf("it tells what was sent: %s", said)
		}
	}
}

func TestChallengeIsQuoted(t *testing.T) {
	r, w := request("token=t0ken"), httptest.NewRecorder()
	r.SetBasicAuth("id", "wrong")
	newEndpoint(t).Serve(away, w, r)
	if got := w.Header().Get("WWW-Authenticate"); got != `Basic realm="the \"realm\" \\", charset="UTF-8"` {
		t.Error(got)
	}
}

func TestNewMistakes(t *testing.T) {
	c := clients(t)
	for _, config := range []Config{{}, {Clients: c}, {Clients: c, Retain: -1}, {Retain: 1}} {
		if _, err := New(config); err == nil {
			t.Errorf("%+v is accepted", config)
		}
	}
	for _, list := range [][]Client{
		{{}},
		{{ID: strings.Repeat("x", maxID+1)}},
		{{ID: "a"}, {ID: "a"}},
		{{ID: "a", Methods: []Method{ClientSecretPost}}},
		{{ID: "a", Methods: []Method{"private_key_jwt"}}},
		{{ID: "a", Methods: []Method{None}, Secret: new(Secret)}},
		{{ID: "a", Origins: []string{"null"}}},
	} {
		if _, err := NewClients(list); err == nil {
			t.Errorf("%+v is accepted", list)
		}
	}
}

// A request that another handler of the server made up may have no body at all.
func TestServeNilBody(t *testing.T) {
	for method, status := range map[string]int{http.MethodGet: 405, http.MethodPost: 400, http.MethodOptions: 204} {
		r, w := request(""), httptest.NewRecorder()
		r.Method, r.Body = method, nil
		if done := newEndpoint(t).Serve(away, w, r); done.Status != status || w.Code != status {
			t.Errorf("%s: %+v", method, done)
		}
	}
}

// hurried is a connection on which what would take half a minute takes a moment.
type hurried struct{ http.ResponseWriter }

func (h hurried) SetReadDeadline(deadline time.Time) error {
	if !deadline.IsZero() {
		deadline = time.Now().Add(250 * time.Millisecond) // in which what is sent has come
	}
	return http.NewResponseController(h.ResponseWriter).SetReadDeadline(deadline)
}

// wrapped is what Caddy makes of a body: the server cannot look into it.
type wrapped struct{ io.ReadCloser }

// Nobody waits for a body that does not come: neither the endpoint nor, behind
// its back, the server that wants to read what was left of it. And a body that
// has come in time leaves no deadline behind.
func TestBodiesAreBounded(t *testing.T) {
	e := newEndpoint(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = wrapped{r.Body}
		e.Serve(away, hurried{w}, r)
	}))
	defer server.Close()
	const form = "Content-Type: application/x-www-form-urlencoded\r\n"
	for _, test := range []struct {
		name, method, header, body string
		status                     int
	}{
		{"no body", "POST", form + "Content-Length: 10\r\n", "", 408},
		{"half a body", "POST", form + "Content-Length: 10\r\n", "token", 408},
		{"no chunk", "POST", form + "Transfer-Encoding: chunked\r\n", "", 408},
		{"half a chunk", "POST", form + "Transfer-Encoding: chunked\r\n", "5\r\ntok", 408},
		{"no body, other type", "POST", "Content-Length: 10\r\n", "", 415},
		{"no body, other method", "PUT", form + "Content-Length: 10\r\n", "", 405},
		{"no body, options", "OPTIONS", "Content-Length: 10\r\n", "", 204},
		{"large body announced", "POST", form + "Content-Length: 100000\r\n", "token=a", 413},
		{"huge body announced", "POST", form + "Content-Length: 100000000000\r\n", "token=a", 413},
		{"large body, and no end", "POST", form + "Transfer-Encoding: chunked\r\n", "20000\r\n" + strings.Repeat("x", maxBody+1), 413},
		{"announced, and not asked for", "POST", form + "Content-Length: 100000\r\nExpect: 100-continue\r\n", "", 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, answers := dial(t, server)
			send(t, conn, test.method+" / HTTP/1.1\r\nHost: a\r\n"+test.header+"\r\n"+test.body)
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != test.status {
				t.Errorf("%s, want %d", response.Status, test.status)
			}
			// What comes later on this connection is not taken for a request.
			if _, err := io.Copy(io.Discard, answers); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the connection goes on: %v", err)
			}
		})
	}
	t.Run("in time", func(t *testing.T) {
		conn, answers := dial(t, server)
		for range 2 {
			send(t, conn, "POST / HTTP/1.1\r\nHost: a\r\n"+form+"Content-Length: 7\r\n\r\ntoken=a")
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusUnauthorized || response.Close {
				t.Errorf("%s %v %v", response.Status, response.Header, err)
			}
		}
	})
}

// A body that has come leaves no deadline behind: it would end the request when
// it passes, while the revocation still waits to become durable.
func TestNoDeadlineIsLeft(t *testing.T) {
	w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	newEndpoint(t).Serve(func(context.Context) (*revocation.Denylist, error) {
		if w.calls != 2 || !w.deadline.IsZero() {
			t.Errorf("after %d calls the deadline is %s", w.calls, w.deadline)
		}
		return nil, errAway
	}, w, request("token=t0ken"))
}

type deadlined struct {
	*httptest.ResponseRecorder
	deadline time.Time
	calls    int
}

func (d *deadlined) SetReadDeadline(deadline time.Time) error {
	d.deadline = deadline
	d.calls++
	return nil
}

func dial(t *testing.T, server *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}
