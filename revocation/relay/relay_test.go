package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var client = netip.MustParseAddr("192.0.2.1") // the peer of httptest's requests

func newRelay(t *testing.T, c Config) *Relay {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func revocationRequest(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://gateway.example/token/revocation?token_type_hint=x", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// raw is a server that keeps what it reads, byte by byte, and answers the same.
func raw(t *testing.T, answer string) (url string, got func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	read := make(chan string, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			var all strings.Builder
			r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &all)))
			if err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			select {
			case read <- all.String():
			default:
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String(), func() string { return <-read }
}

// The server gets what the client sent, and what proxies add: nothing else.
func TestSendIsExact(t *testing.T) {
	url, got := raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	const body = "token=a%2Bb&&x=1&token_type_hint=\x00"
	r := revocationRequest(body)
	for name, values := range map[string][]string{
		"Authorization":         {"Basic YTpi"},
		"Accept":                {"application/json", "text/plain"},
		"X-Fapi-Interaction-Id": {"1"},
		"X-Customer-User-Agent": {"u"},
		"Dpop":                  {"d"},
		"X-Hop":                 {"secret"},
		"X-Forwarded-For":       {"203.0.113.9"},
		"X-Forwarded-Proto":     {"gopher"},
		"X-Forwarded-Host":      {"evil.example"},
		"Connection":            {"close, X-Hop"},
		"Keep-Alive":            {"1"},
		"Te":                    {"trailers"},
		"Trailer":               {"X"},
		"Upgrade":               {"h2c"},
		"Transfer-Encoding":     {"chunked"},
		"Proxy-Authorization":   {"Basic eDp5"},
		"Expect":                {"100-continue"},
		"Content-Length":        {"99"},
	} {
		r.Header[name] = values
	}
	a, err := newRelay(t, Config{URL: url + "/revoke?tenant=1"}).Send(t.Context(), r, client, []byte(body))
	if err != nil || !a.Done() || string(a.Body) != "{}" {
		t.Fatalf("%+v %v", a, err)
	}
	head, sent, _ := strings.Cut(got(), "\r\n\r\n")
	if sent != body {
		t.Errorf("the body is %q", sent)
	}
	lines := strings.Split(head, "\r\n")
	slices.Sort(lines[1:])
	want := []string{
		"POST /revoke?tenant=1&token_type_hint=x HTTP/1.1",
		"Accept: application/json",
		"Accept: text/plain",
		"Authorization: Basic YTpi",
		fmt.Sprintf("Content-Length: %d", len(body)),
		"Content-Type: application/x-www-form-urlencoded",
		"Dpop: d",
		"Host: " + strings.TrimPrefix(url, "http://"),
		"X-Customer-User-Agent: u",
		"X-Fapi-Interaction-Id: 1",
		"X-Forwarded-For: 192.0.2.1",
		"X-Forwarded-Host: gateway.example",
		"X-Forwarded-Proto: https",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// Only a proxy that is trusted, which is when the client is known not to be the
// peer, may say where a request came from.
func TestForwarded(t *testing.T) {
	for _, test := range []struct{ peer, client, by, proto string }{
		{"192.0.2.1:1", "192.0.2.1", "192.0.2.1", "http"},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1", "::ffff:192.0.2.1", "http"},
		{"[fe80::1%eth0]:1", "fe80::1", "fe80::1%eth0", "http"},
		{"192.0.2.1:1", "", "192.0.2.1", "http"},
		{"192.0.2.1:1", "203.0.113.9", "203.0.113.9, 198.51.100.7, 192.0.2.1", "https"},
		{"@", "203.0.113.9", "203.0.113.9, 198.51.100.7", "https"},
		{"@", "", "", "http"},
	} {
		r := revocationRequest("")
		r.TLS, r.RemoteAddr = nil, test.peer
		r.Header["X-Forwarded-For"] = []string{"203.0.113.9", "198.51.100.7"}
		r.Header.Set("X-Forwarded-Proto", "https")
		address, _ := netip.ParseAddr(test.client)
		forward(r.Header, r, address)
		if got := strings.Join(r.Header["X-Forwarded-For"], ", "); got != test.by || r.Header.Get("X-Forwarded-Proto") != test.proto {
			t.Errorf("%+v: %v", test, r.Header)
		}
	}
}

// What is no answer to a revocation is told from one, and nobody who reads the
// error learns what the server said.
func TestSendJudgesAnswers(t *testing.T) {
	const secret = "s3cret"
	large := strings.Repeat("x", MaxAnswer)
	for _, test := range []struct {
		answer string
		status int // 0: nonsense
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200},
		{"HTTP/1.1 204 No Content\r\n\r\n", 204},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200},
		{"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"HTTP/1.1 429 Slow\r\n\r\n" + large, 429},
		{"HTTP/1.1 429 Slow\r\n\r\n" + large + "x", 0},
		{"HTTP/1.1 200 OK\r\n\r\n" + large + "x", 0},
		{"HTTP/1.1 200 OK\r\nX: " + large + "\r\n\r\n", 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ns3cret", 0},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ns3cret", 0},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 0},
		{"HTTP/1.1 301 Moved\r\nLocation: https://evil.example/s3cret\r\n\r\n", 0},
		{"HTTP/1.1 307 Moved\r\nLocation: /\r\n\r\n", 0},
		{"HTTP/1.1 304 Not Modified\r\n\r\n", 0},
		{"HTTP/1.1 407 Proxy\r\nContent-Length: 0\r\n\r\n", 0},
		{"HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\ns3cret", 0},
		{"HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n", 0},
		{"HTTP/1.1 999 Oh\r\nContent-Length: 0\r\n\r\n", 0},
		{"HTTP/1.1 s3cret\r\n\r\n", 0},
		{"s3cret\r\n\r\n", 0},
		{"", 0},
	} {
		url, _ := raw(t, test.answer)
		a, err := newRelay(t, Config{URL: url}).Send(t.Context(), revocationRequest("a"), client, []byte("a"))
		if a.Status != test.status || (err == nil) != (test.status != 0) {
			t.Errorf("%.60q: %d %v", test.answer, a.Status, err)
		}
		if err != nil && (!errors.Is(err, ErrNonsense) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%.60q: %v", test.answer, err)
		}
	}
}

func TestSendWithoutServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if _, err := newRelay(t, Config{URL: "http://" + listener.Addr().String()}).Send(t.Context(), revocationRequest("a"), client, nil); !errors.Is(err, ErrNonsense) {
		t.Error(err)
	}
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	tls.Config.ErrorLog = nil
	for _, url := range []string{tls.URL, "https" + strings.TrimPrefix(silentServer(t), "http")} {
		_, err := newRelay(t, Config{URL: url, Timeout: 200 * time.Millisecond}).Send(t.Context(), revocationRequest("a"), client, nil)
		if !errors.Is(err, ErrNonsense) && !errors.Is(err, ErrSilent) {
			t.Error(err)
		}
	}
	if _, err := newRelay(t, Config{URL: tls.URL}).Send(t.Context(), revocationRequest("a"), client, nil); !errors.Is(err, ErrNonsense) || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	if _, err := newRelay(t, Config{URL: tls.URL, Transport: tls.Client().Transport}).Send(t.Context(), revocationRequest("a"), client, nil); err != nil {
		t.Error(err)
	}
}

// silentServer takes connections and says nothing.
func silentServer(t *testing.T) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return "http://" + listener.Addr().String()
}

// A server that hangs holds as many requests as it may, each for the timeout.
// All others are turned away at once, and nothing remains of any.
func TestSendIsBounded(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newRelay(t, Config{URL: silentServer(t), Timeout: 500 * time.Millisecond, MaxConcurrent: 10})
	var silent, busy atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			switch _, err := s.Send(context.Background(), revocationRequest("a"), client, []byte("a")); {
			case errors.Is(err, ErrSilent):
				silent.Add(1)
			case errors.Is(err, ErrBusy):
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if silent.Load() < 10 || silent.Load()+busy.Load() != 200 || busy.Load() < 100 {
		t.Errorf("%d waited, %d were turned away", silent.Load(), busy.Load())
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+3; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}

// An answer that comes in drops is not waited for either, and who is gone is
// told apart.
func TestSendEnds(t *testing.T) {
	dripping := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			<-time.After(10 * time.Millisecond)
		}
	}))
	defer dripping.Close()
	if _, err := newRelay(t, Config{URL: dripping.URL, Timeout: 100 * time.Millisecond}).Send(t.Context(), revocationRequest("a"), client, nil); !errors.Is(err, ErrSilent) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newRelay(t, Config{URL: dripping.URL}).Send(ctx, revocationRequest("a"), client, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSendReusesConnections(t *testing.T) {
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_request"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s := newRelay(t, Config{URL: server.URL})
	for range 50 {
		if a, err := s.Send(t.Context(), revocationRequest("a"), client, []byte("a")); err != nil || a.Done() {
			t.Fatal(a, err)
		}
	}
	if opened.Load() != 1 {
		t.Errorf("%d connections", opened.Load())
	}
}

func TestNewMistakes(t *testing.T) {
	for _, c := range []Config{
		{}, {URL: "as.example"}, {URL: "/revoke"}, {URL: "ftp://a/"}, {URL: "https://"}, {URL: "https://a:s3cret@b/"},
		{URL: "https://a/#s3cret"}, {URL: "https://s3cret%zz/"},
		{URL: "https://a/", Timeout: -1}, {URL: "https://a/", MaxConcurrent: -1},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
