package tests

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// relayServer is an authorization server's revocation endpoint. It counts, keeps
// every byte that it gets, and answers as told, or 200.
type relayServer struct {
	*httptest.Server
	asked, opened atomic.Int64

	mu     sync.Mutex
	answer http.HandlerFunc
	got    bytes.Buffer
}

func newRelayServer(t *testing.T, withTLS bool) *relayServer {
	t.Helper()
	s := &relayServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.opened.Add(1)
		}
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	if withTLS {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		s.StartTLS()
	} else {
		s.Listener = recorder{s.Listener, s}
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *relayServer) serve(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	_, _ = io.Copy(io.Discard, r.Body) // before that, the server does not notice who hangs up
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

// answers makes it answer everything in a way.
func (s *relayServer) answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// received is every byte since the last call.
func (s *relayServer) received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.got.Reset()
	return s.got.String()
}

// trust writes its certificate to a file.
func (s *relayServer) trust(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return file
}

type recorder struct {
	net.Listener
	server *relayServer
}

func (r recorder) Accept() (net.Conn, error) {
	conn, err := r.Listener.Accept()
	return recorded{conn, r.server}, err
}

type recorded struct {
	net.Conn
	server *relayServer
}

func (r recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.server.mu.Lock()
	r.server.got.Write(b[:n])
	r.server.mu.Unlock()
	return n, err
}

// hang answers nothing until the other side gives up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// says answers with a status and a body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// bytesThen sends bytes as they are and closes, or resets, the connection.
func bytesThen(text string, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		if tcp, ok := conn.(recorded).Conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// relaying is a Caddyfile with a relay to the server. OPTIONS and RELAY stand
// for further lines of the directive and of relay. The server has longer to answer
// than a busy machine takes; see impatient.
func (s *relayServer) relaying(options, relay string) string {
	return strings.NewReplacer("SERVER", s.URL, "OPTIONS", options, "RELAY", relay).Replace(`
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		client backend {
			secret backend-secret
		}
	}
}
http://localhost:PORT {
	token_revocation {
		rate_limit 1000000 1s
		OPTIONS
		relay SERVER/oauth/revoke {
			timeout 20s
			RELAY
		}
	}
	reverse_proxy UPSTREAM
}
`)
}

// impatient is such a Caddyfile for a server that is not going to answer.
func impatient(relaying, timeout string) string {
	return strings.Replace(relaying, "timeout 20s", "timeout "+timeout, 1)
}
