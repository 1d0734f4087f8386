package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const servers = 3

// engine is a NATS cluster with JetStream.
type engine struct {
	t       *testing.T
	dir     string
	servers []*process
	ports   []int           // of the servers, without a proxy
	routes  map[string]*way // from one server to another, "0 1"
}

const serverConfig = `
server_name: %s
listen: "%s"
ping_interval: "2s"
ping_max: 2
jetstream { store_dir: %q, sync_interval: always, max_memory_store: 64MB, max_file_store: 1GB }
cluster {
	name: faults
	listen: "%s"
	# Nobody is told of a way that goes round the proxies.
	no_advertise: true
	advertise: "127.0.0.1:1"
	routes: [%s]
	ping_interval: "2s"
}
`

func newEngine(t *testing.T, dir string, p *proxies) *engine {
	t.Helper()
	e := &engine{t: t, dir: dir, routes: map[string]*way{}}
	var between []int
	for range servers {
		e.ports, between = append(e.ports, freePort(t)), append(between, freePort(t))
	}
	for i := range servers {
		var routes []string
		for k := range servers {
			if k == i {
				continue
			}
			pair := fmt.Sprint(i, " ", k)
			e.routes[pair] = p.to("route "+pair, between[k])
			routes = append(routes, `"nats://`+e.routes[pair].proxy.Listen+`"`)
		}
		config := fmt.Sprintf(serverConfig, serverName(i), local(e.ports[i]), e.data(i), local(between[i]), strings.Join(routes, ", "))
		path := filepath.Join(dir, serverName(i)+".conf")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		e.servers = append(e.servers, &process{t: t, name: serverName(i), command: func() *exec.Cmd {
			return exec.Command(filepath.Join(programs, "nats-server"), "-c", path)
		}})
	}
	return e
}

func serverName(i int) string { return fmt.Sprint("server", i) }

func (e *engine) data(i int) string { return filepath.Join(e.dir, "data", serverName(i)) }

func (e *engine) launch() {
	for _, s := range e.servers {
		s.launch()
	}
}

// kill ends all servers at once.
func (e *engine) kill() {
	for _, s := range e.servers {
		s.end(syscall.SIGKILL)
	}
}

// restore replaces the data of the servers, which must not run, by a copy; by
// nothing, if there is no copy.
func (e *engine) restore(copied string) {
	e.t.Helper()
	data := filepath.Join(e.dir, "data")
	err := os.RemoveAll(data)
	if err == nil && copied != "" {
		err = os.CopyFS(data, os.DirFS(copied))
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// copied copies the data of the servers, which must not run.
func (e *engine) copied() (to string) {
	e.t.Helper()
	to = filepath.Join(e.dir, fmt.Sprint("copy", time.Now().UnixNano()))
	if err := os.CopyFS(to, os.DirFS(filepath.Join(e.dir, "data"))); err != nil {
		e.t.Fatal(err)
	}
	return to
}

// administer calls f with a connection that takes no proxy, until it succeeds.
func (e *engine) administer(what string, f func(context.Context, jetstream.JetStream) error) {
	e.t.Helper()
	var urls []string
	for _, port := range e.ports {
		urls = append(urls, "nats://"+local(port))
	}
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var conn *nats.Conn
		if conn, err = nats.Connect(strings.Join(urls, ",")); err != nil {
			continue
		}
		var js jetstream.JetStream
		if js, err = jetstream.New(conn); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			err = f(ctx, js)
			cancel()
		}
		conn.Close()
		if err == nil {
			return
		}
	}
	e.t.Fatalf("%s: %v", what, err)
}

const streamName = "TOKEN_REVOCATION"

// leader is the number of the server that leads the stream.
func (e *engine) leader() (leader int) {
	e.t.Helper()
	e.administer("finding the leader", func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, streamName)
		if err != nil {
			return err
		}
		info := stream.CachedInfo()
		for i := range servers {
			if info.Cluster != nil && info.Cluster.Leader == serverName(i) {
				leader = i
				return nil
			}
		}
		return fmt.Errorf("the stream has no leader")
	})
	return leader
}

// remove deletes the stream with all that it has.
func (e *engine) remove() {
	e.t.Helper()
	e.administer("deleting the stream", func(ctx context.Context, js jetstream.JetStream) error {
		return js.DeleteStream(ctx, streamName)
	})
}
