package natscluster

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// soon is what nothing here may take that has to wait for nobody: less than connectTimeout,
// and more than it takes where the machine is busy.
const soon = 1500 * time.Millisecond

func quick(t *testing.T, what string, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > soon {
		t.Errorf("%s took %s", what, took)
	}
}

// blackHole is an address that takes connections, or as many as its kernel does,
// and never answers.
func blackHole(t *testing.T, accept bool) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	if accept {
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { _ = conn.Close() })
			}
		}()
	}
	return l.Addr().String()
}

// Opening, using and closing an engine waits for no server, whatever that does,
// and leaves nothing behind.
func TestServersAway(t *testing.T) {
	refused := func() string { l := blackHole(t, false); return l }
	for name, urls := range map[string][]string{
		"silent":            {"nats://" + blackHole(t, true), "nats://" + blackHole(t, true)},
		"never accepting":   {"nats://" + refused()},
		"silent TLS":        {"tls://" + blackHole(t, true)},
		"silent WebSocket":  {"ws://" + blackHole(t, true)},
		"silent WebSockets": {"wss://" + blackHole(t, true)},
		"not routed":        {"nats://192.0.2.1:4222", "nats://192.0.2.2:4222"},
		"without a name":    {"nats://nothing.invalid:4222"},
		"refusing":          {"nats://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			var e *Engine
			quick(t, "Open", func() {
				var err error
				e, err = Open(Config{URLs: urls})
				check(t, err)
			})
			time.Sleep(100 * time.Millisecond) // so that it is being tried
			quick(t, "Apply", func() {
				if err := e.Apply(t.Context(), records(0, 1)); !errors.Is(err, ErrDisconnected) {
					t.Errorf("Apply = %v; want ErrDisconnected", err)
				}
			})
			ended := make(chan error)
			go func() { ended <- e.Sync(t.Context(), nil, nil) }()
			quick(t, "Close", func() { check(t, e.Close()) })
			if err := <-ended; !errors.Is(err, revocation.ErrClosed) && !errors.Is(err, ErrDisconnected) {
				t.Errorf("Sync = %v; want ErrClosed", err)
			}
			eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// Why there is no connection is told within seconds, the first time at once.
func TestToldWhy(t *testing.T) {
	t.Parallel()
	s := configured(t, "", "authorization { user: gateway, password: correcthorse }")
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"password": {Config{URLs: []string{address(s)}, Options: []nats.Option{nats.UserInfo("gateway", "wrongpassword")}}, "authorization violation"},
		"in a URL": {Config{URLs: []string{"nats://gateway:wrongpassword@" + s.Addr().String()}}, "authorization violation"},
		"TLS":      {Config{URLs: []string{"tls://gateway:wrongpassword@" + s.Addr().String()}}, "secure connection not available"},
		"a name":   {Config{URLs: []string{"nats://gateway:wrongpassword@nothing.invalid"}}, "lookup nothing.invalid"},
		"refused":  {Config{URLs: []string{"nats://gateway:wrongpassword@127.0.0.1:1"}}, "not connected"},
		"silent":   {Config{URLs: []string{"nats://gateway:wrongpassword@" + blackHole(t, true)}}, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := Open(c.config)
			check(t, err)
			defer func() { _ = e.Close() }()
			began := time.Now()
			err = e.Sync(t.Context(), nil, nil)
			if took := time.Since(began); !errors.Is(err, ErrDisconnected) || !strings.Contains(strings.ToLower(err.Error()), c.want) || took > patience {
				t.Errorf("Sync = %v after %s; want %s", err, took, c.want)
			}
			if strings.Contains(err.Error(), "wrongpassword") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

// What can be known at once is an error of Open, and holds no secret.
func TestOpenMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no server":         {},
		"not a URL":         {URLs: []string{"nats://user:wrongpass%zzword@host"}},
		"no host":           {URLs: []string{"nats://user:wrongpassword@"}},
		"mixed":             {URLs: []string{"nats://a:wrongpassword@host", "wss://b:wrongpassword@host"}},
		"a bad option":      {URLs: []string{"nats://host"}, Options: []nats.Option{nats.RootCAs(filepath.Join(t.TempDir(), "none"))}},
		"not a certificate": {URLs: []string{"nats://host"}, Options: []nats.Option{nats.ClientCert(os.DevNull, os.DevNull)}},
	} {
		e, err := Open(c)
		if err == nil {
			t.Errorf("%s: no error", name)
			_ = e.Close()
		} else if strings.Contains(err.Error(), "wrongpass") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
}

// A connection that nats.go has given up for ever is made anew.
func TestClosedForEver(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	n := newNode(t, p.config())
	n.isLevel()
	n.engine.conn.Load().Close()
	eventually(t, "the node notices", func() bool { return n.State().Syncs > 1 })
	n.isLevel()
	n.revoke(record(1))
}

// Credentials that a server takes no more are told of, and taken again once the
// server takes them.
func TestCredentialsWithdrawn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	c := p.config()
	c.URLs = []string{"nats://" + p.server.Addr().String()}
	c.Options = []nats.Option{nats.UserInfo("gateway", "correcthorse")}
	n := levelNode(t, c)
	p.Stop()
	p.password = "another"
	p.Start()
	eventually(t, "the node is told", func() bool {
		return strings.Contains(strings.ToLower(n.State().Lost), "authorization violation")
	})
	p.Stop()
	p.password = ""
	p.Start()
	n.isLevel()
	n.revoke(record(1))
}
