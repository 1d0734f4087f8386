package natscluster

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/clustertest"
)

func TestConformance(t *testing.T) {
	clustertest.Run(t, func(t *testing.T) clustertest.Place { return newPlace(t, nil) })
}

// place is a NATS server in this process. It implements [clustertest.Place].
type place struct {
	t      testing.TB
	dir    string
	port   int
	change func(*server.Options) // before each start, unless nil
	server *server.Server
	// password, unless empty, is that of the only user from the next start on.
	password string
}

const testGrace = 2 * time.Second

func newPlace(t testing.TB, change func(*server.Options)) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), port: freePorts(t, 1)[0], change: change}
	p.Start()
	t.Cleanup(p.Stop)
	return p
}

func (p *place) data() string { return filepath.Join(p.dir, "data") }

func (p *place) Start() {
	p.t.Helper()
	options := &server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: p.port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: p.data(), SyncAlways: true,
	}
	if p.password != "" {
		options.Username, options.Password = "gateway", p.password
	}
	if p.change != nil {
		p.change(options)
	}
	p.server = startServer(p.t, options)
}

// startServer runs a NATS server in this process.
func startServer(t testing.TB, options *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

func (p *place) Stop() {
	p.server.Shutdown()
	p.server.WaitForShutdown()
}

func (p *place) Wipe() {
	if err := os.RemoveAll(p.data()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) Save() (restore func()) {
	saved := filepath.Join(p.t.(*testing.T).TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(p.data())); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		p.Wipe()
		if err := os.CopyFS(p.data(), os.DirFS(saved)); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *place) config() Config {
	return Config{URLs: []string{p.server.ClientURL()}, Grace: testGrace}
}

func (p *place) Open() (cluster.Engine, error) { return Open(p.config()) }

func (p *place) Grace() time.Duration { return testGrace }

func (p *place) Came(e cluster.Engine) uint64 { return e.(*Engine).conn.Load().Stats().InBytes }

func (p *place) Spoil() (mend func()) {
	keepFor := func(age time.Duration) {
		p.changeStream(func(c *jetstream.StreamConfig) { c.MaxAge = age })
	}
	keepFor(time.Hour)
	return func() { keepFor(0) }
}

// changeStream changes the stream as an operator would.
func (p *place) changeStream(change func(*jetstream.StreamConfig)) {
	p.t.Helper()
	js := operator(p.t, p.server.ClientURL())
	stream, err := js.Stream(p.t.Context(), DefaultStream)
	check(p.t, err)
	config := stream.CachedInfo().Config
	change(&config)
	_, err = js.UpdateStream(p.t.Context(), config)
	check(p.t, err)
}

func (p *place) Left() int {
	info, err := p.server.Jsz(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return info.Consumers + p.server.NumClients()
}
