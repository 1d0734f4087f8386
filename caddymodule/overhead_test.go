package caddymodule_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/nats-io/nats-server/v2/server"

	_ "github.com/caddy-token-revocation/caddy-token-revocation/caddymodule"
)

// BenchmarkOverhead sets what the handler costs beside what a request through a
// bare reverse_proxy costs, in one run: "handler" is the one, "proxy" the other,
// and "handler+proxy" both.
func BenchmarkOverhead(b *testing.B) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer api.Close()

	config := fmt.Sprintf(`{"admin":{"disabled":true},"apps":{"token_revocation":{"store":{"backend":"bolt","path":%q}}}}`,
		filepath.Join(b.TempDir(), "denylist.db"))
	if err := caddy.Load([]byte(config), true); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	ctx := caddy.ActiveContext()
	load := func(id, config string) caddyhttp.MiddlewareHandler {
		module, err := ctx.LoadModuleByID(id, []byte(config))
		if err != nil {
			b.Fatal(err)
		}
		return module.(caddyhttp.MiddlewareHandler)
	}
	gate := load("http.handlers.token_revocation", `{"endpoint":"off"}`)
	proxy := load("http.handlers.reverse_proxy",
		fmt.Sprintf(`{"upstreams":[{"dial":%q}]}`, strings.TrimPrefix(api.URL, "http://")))
	nothing := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	proxied := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return proxy.ServeHTTP(w, r, nothing)
	})

	for _, bench := range []struct {
		name  string
		serve func(http.ResponseWriter, *http.Request) error
	}{
		{"handler", func(w http.ResponseWriter, r *http.Request) error { return gate.ServeHTTP(w, r, nothing) }},
		{"proxy", proxied},
		{"handler+proxy", func(w http.ResponseWriter, r *http.Request) error { return gate.ServeHTTP(w, r, proxied) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			r := httptest.NewRequest(http.MethodGet, "http://localhost/api", nil)
			r.RequestURI = ""
			r.Header.Set("Authorization", "Bearer "+jwt800())
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, new(caddyhttp.Server))
			w := httptest.NewRecorder()
			for b.Loop() {
				w.Body.Reset()
				if err := bench.serve(w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCluster sets what the handler costs in a cluster beside what it costs
// without one, in one run.
func BenchmarkCluster(b *testing.B) {
	nats, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: b.TempDir(), NoLog: true, NoSigs: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	nats.Start()
	defer func() { nats.Shutdown(); nats.WaitForShutdown() }()
	if !nats.ReadyForConnections(10 * time.Second) {
		b.Fatal("NATS does not start")
	}
	defer func() { _ = caddy.Stop() }()
	path := filepath.Join(b.TempDir(), "denylist.db")
	for _, bench := range []struct{ name, cluster string }{
		{"alone", ""},
		{"clustered", fmt.Sprintf(`"cluster":{"engine":"nats","servers":[%q]},`, nats.ClientURL())},
	} {
		config := fmt.Sprintf(`{"admin":{"disabled":true},"apps":{"token_revocation":{%s"store":{"backend":"bolt","path":%q}}}}`, bench.cluster, path)
		if err := caddy.Load([]byte(config), true); err != nil {
			b.Fatal(err)
		}
		module, err := caddy.ActiveContext().LoadModuleByID("http.handlers.token_revocation", []byte(`{"endpoint":"off"}`))
		if err != nil {
			b.Fatal(err)
		}
		gate := module.(caddyhttp.MiddlewareHandler)
		nothing := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			r := httptest.NewRequest(http.MethodGet, "http://localhost/api", nil)
			r.Header.Set("Authorization", "Bearer "+jwt800())
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, new(caddyhttp.Server))
			w := httptest.NewRecorder()
			for b.Loop() {
				if err := gate.ServeHTTP(w, r, nothing); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// jwt800 has the shape and the 800 bytes of a JWT signed with RS256.
func jwt800() string {
	encode := base64.RawURLEncoding.EncodeToString
	header := encode([]byte(`{"alg":"RS256","kid":"2026-01","typ":"at+jwt"}`))
	signature := encode([]byte(strings.Repeat("s", 256)))
	rest := 800 - len(header) - len(signature) - 2
	payload := encode([]byte(`{"sub":"` + strings.Repeat("p", rest*3/4-10) + `"}`))
	return header + "." + payload + "." + signature
}
