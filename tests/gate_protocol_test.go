package tests

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go/http3"
)

// A trailer comes after the request was let through. Some servers merge it into
// the header, so no token may get through in one.
func TestGateTrailers(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	for _, announced := range []string{
		"Trailer: Authorization, Proxy-Authorization, X-Token, Cookie, X-Checksum\r\n",
		"Trailer: X-Checksum\r\n", // which lets all others through as well
	} {
		request := "POST /api HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + announced +
			"Content-Type: text/plain\r\n\r\n5\r\nhello\r\n0\r\n" +
			"Authorization: Bearer alpha\r\nProxy-Authorization: Bearer alpha\r\nX-Token: alpha\r\nx_token: alpha\r\n" +
			"Cookie: session=alpha\r\nX-Checksum: 1\r\n\r\n"
		if status := c.raw(t, request); status != http.StatusOK {
			t.Errorf("%q: %d", announced, status)
			continue
		}
		up.mu.Lock()
		header, trailer, body := up.last.Header, up.last.Trailer, string(up.body)
		up.mu.Unlock()
		if s := fmt.Sprint(header, trailer); strings.Contains(s, "alpha") {
			t.Errorf("%q: a token reached the upstream: %s", announced, s)
		}
		if body != "hello" || trailer.Get("X-Checksum") != "1" {
			t.Errorf("%q: the body is %q, the trailer %v", announced, body, trailer)
		}
	}
}

// An upgrade to another version of HTTP would be a tunnel for requests that
// nobody looks at.
func TestGateUpgradeToHTTP(t *testing.T) {
	up := newUpstream(t)
	up.handle = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrade := r.Header.Get("Upgrade")
		if upgrade == "" {
			_, _ = io.WriteString(w, "no upgrade")
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+upgrade+"\r\n\r\n")
	})
	c := start(t, everywhere, up)
	for upgrade, want := range map[string]int{
		"h2c": http.StatusOK, "H2C": http.StatusOK, "websocket, h2c": http.StatusOK, "HTTP/2.0": http.StatusOK, "TLS/1.0,HTTP/1.1": http.StatusOK,
		"websocket\r\nUpgrade: h2c": http.StatusOK,
		"websocket":                 http.StatusSwitchingProtocols, "SPDY/3.1": http.StatusSwitchingProtocols, "tcp": http.StatusSwitchingProtocols,
	} {
		got := c.raw(t, "GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"+
			"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nUpgrade: "+upgrade+"\r\n\r\n")
		if got != want {
			t.Errorf("%q: %d, want %d", upgrade, got, want)
		}
	}
}

func TestGateWebSocket(t *testing.T) {
	up := newUpstream(t)
	up.handle = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	c := start(t, everywhere, up)
	revoked := looksLikeJWT()
	c.revoke(t, revoked)
	for _, place := range []struct {
		name string
		with func(token string) (query string, options *websocket.DialOptions)
	}{
		{"protocol", func(token string) (string, *websocket.DialOptions) {
			return "", &websocket.DialOptions{Subprotocols: []string{"chat", token}}
		}},
		{"protocol as in Kubernetes", func(token string) (string, *websocket.DialOptions) {
			bearer := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(token))
			return "", &websocket.DialOptions{Subprotocols: []string{"chat", bearer}}
		}},
		{"query", func(token string) (string, *websocket.DialOptions) { return "?access_token=" + token, nil }},
		{"Authorization", func(token string) (string, *websocket.DialOptions) {
			return "", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}}
		}},
		{"cookie", func(token string) (string, *websocket.DialOptions) {
			return "", &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"session=" + token}}}
		}},
	} {
		t.Run(place.name, func(t *testing.T) {
			address := "ws" + strings.TrimPrefix(c.url, "http") + "/socket"
			query, options := place.with(revoked)
			before := up.reached.Load()
			conn, answer, err := websocket.Dial(t.Context(), address+query, options)
			if err == nil {
				_ = conn.CloseNow()
				t.Error("a revoked token opened a WebSocket")
			} else if answer == nil || answer.StatusCode != http.StatusUnauthorized || up.reached.Load() != before {
				t.Errorf("%v: %v", answer, err)
			}

			query, options = place.with(looksLikeJWT())
			conn, _, err = websocket.Dial(t.Context(), address+query, options)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "hello" {
				t.Errorf("%q, %v", message, err)
			}
		})
	}
}

// TestGateHTTPVersions sends the same over HTTP/1.1, HTTP/2 and HTTP/3.
func TestGateHTTPVersions(t *testing.T) {
	up := newUpstream(t)
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	plain := newCaddy(t, dir, up)
	encrypted := freePort(t)
	global, block, _ := strings.Cut(everywhere, "http://localhost:PORT {")
	plain.launch(strings.Replace(global, "auto_https off", "auto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2 h2c h3\n\t}", 1) +
		"http://localhost:PORT {" + block +
		"https://localhost:" + encrypted + " {\n\ttls " + certificate + " " + key + block)
	trust := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a certificate of this test
	revoked := looksLikeJWT()
	plain.revoke(t, revoked)

	only := func(set func(*http.Protocols)) *http.Transport {
		protocols := new(http.Protocols)
		set(protocols)
		return &http.Transport{Protocols: protocols, TLSClientConfig: trust}
	}
	h1 := only(func(p *http.Protocols) { p.SetHTTP1(true) })
	h2 := only(func(p *http.Protocols) { p.SetHTTP2(true) })
	h2c := only(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	h3 := &http3.Transport{TLSClientConfig: trust}
	t.Cleanup(func() {
		for _, transport := range []*http.Transport{h1, h2, h2c} {
			transport.CloseIdleConnections()
		}
		_ = h3.Close()
	})
	for _, version := range []struct {
		name      string
		url       string
		transport http.RoundTripper
		major     int
	}{
		{"HTTP/1.1", "https://localhost:" + encrypted, h1, 1},
		{"HTTP/2", "https://localhost:" + encrypted, h2, 2},
		{"h2c", plain.url, h2c, 2},
		{"HTTP/3", "https://localhost:" + encrypted, h3, 3},
	} {
		t.Run(version.name, func(t *testing.T) {
			client := &http.Client{Transport: version.transport, Timeout: 20 * time.Second}
			send := func(change func(r *http.Request)) answer {
				t.Helper()
				r, err := http.NewRequest(http.MethodGet, version.url+"/api", nil)
				if err != nil {
					t.Fatal(err)
				}
				change(r)
				a, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = a.Body.Close() }()
				body, err := io.ReadAll(a.Body)
				if err != nil {
					t.Fatal(err)
				}
				if a.ProtoMajor != version.major {
					t.Errorf("the answer came with %s", a.Proto)
				}
				return answer{a.StatusCode, a.Header, string(body)}
			}
			for name, put := range map[string]func(*http.Request, string){
				"Authorization": header("Authorization", "Bearer %s"),
				"spaces around": header("Authorization", " \tBearer  %s \t"),
				"query":         query("access_token=%s"),
				"cookies":       header("Cookie", "a=b", "session=%s", "c=d"),
				"headers":       header("X-Token", "a", "%s"),
				"form": func(r *http.Request, token string) {
					post(r, "application/x-www-form-urlencoded", "access_token="+token)
				},
			} {
				before := up.reached.Load()
				a := send(func(r *http.Request) { put(r, revoked) })
				if a.status != http.StatusUnauthorized || up.reached.Load() != before {
					t.Errorf("%s: %d %s", name, a.status, a.body)
				}
				wantRefusal(t, a, "Bearer")
				if a := send(func(r *http.Request) { put(r, looksLikeJWT()) }); a.status != http.StatusOK || up.reached.Load() != before+1 {
					t.Errorf("%s: %d %s", name, a.status, a.body)
				}
			}
			before := up.reached.Load()
			a := send(headersOf("Authorization", "Bearer "+looksLikeJWT(), "Bearer "+revoked))
			if a.status != http.StatusBadRequest || up.reached.Load() != before {
				t.Errorf("two fields: %d %s", a.status, a.body)
			}
			// The endpoint answers there too.
			token := randomToken()
			a = send(func(r *http.Request) {
				r.URL.Path = "/token/revocation"
				post(r, "application/x-www-form-urlencoded", "token="+token)
				r.SetBasicAuth("backend", "backend-secret")
			})
			if a.status != http.StatusOK || a.body != "{}" {
				t.Errorf("revoking: %d %s", a.status, a.body)
			}
			if a := send(headersOf("Authorization", "Bearer "+token)); a.status != http.StatusUnauthorized {
				t.Errorf("%d %s", a.status, a.body)
			}
			if version.name == "HTTP/3" {
				return // net/http and quic-go differ in trailers that clients send
			}
			a = send(func(r *http.Request) {
				post(r, "text/plain", "hello")
				r.ContentLength = -1
				r.Trailer = http.Header{"X-Token": {"alpha"}, "X-Checksum": {"1"}}
			})
			up.mu.Lock()
			trailer := up.last.Trailer
			up.mu.Unlock()
			if a.status != http.StatusOK || trailer.Get("X-Checksum") != "1" || trailer.Get("X-Token") != "" {
				t.Errorf("trailers: %d, %v", a.status, trailer)
			}
		})
	}
}

func headersOf(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

// post makes a request one with a body.
func post(r *http.Request, contentType, body string) {
	r.Method = http.MethodPost
	r.Header["Content-Type"] = []string{contentType}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// selfSigned writes a certificate for localhost and its key, and returns their
// paths.
func selfSigned(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: der},
		key:         {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
