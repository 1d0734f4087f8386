package natscluster

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

var programDir string // for as long as the tests run

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if programDir, err = os.MkdirTemp("", "nats-server"); err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(programDir) }()
		return m.Run()
	}())
}

// program builds nats-server, of the version that go.mod names.
var program = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(programDir, "nats-server")
	out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building nats-server: %w: %s", err, out)
	}
	return path, nil
})

// process is a nats-server that can be killed.
type process struct {
	t      testing.TB
	name   string
	config string // the path
	port   int
	cmd    *exec.Cmd
	out    bytes.Buffer
}

func (p *process) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", p.port) }

func (p *process) start() {
	p.t.Helper()
	path, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(path, "-c", p.config)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// listens waits until the server takes connections.
func (p *process) listens() {
	p.t.Helper()
	eventually(p.t, "the server listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// shutDown has the server end in order.
func (p *process) shutDown() {
	check(p.t, p.cmd.Process.Signal(os.Interrupt))
	_ = p.cmd.Wait()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// ports are below those that the system gives to outgoing connections, so that one
// that was free stays free while a server is away.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(10000 + rand.IntN(4000)))
	return &n
}()

// freePorts are ports that nobody listens on. It does not listen to find out: a
// process that is started meanwhile would have the listener too, for a moment.
func freePorts(t testing.TB, count int) (ports []int) {
	t.Helper()
	for range 1000 {
		port := int(nextPort.Add(1))
		conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			_ = conn.Close()
			continue
		}
		if ports = append(ports, port); len(ports) == count {
			return ports
		}
	}
	t.Fatal("no port is free")
	return nil
}

// newProcesses are servers of one cluster.
func newProcesses(t testing.TB, count int) (list []*process) {
	t.Helper()
	ports := freePorts(t, 2*count)
	var routes []string
	for _, port := range ports[count:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range count {
		dir := t.TempDir()
		p := &process{t: t, name: fmt.Sprint("server", i), config: filepath.Join(dir, "nats.conf"), port: ports[i]}
		config := fmt.Sprintf(`
			server_name: %s
			listen: "127.0.0.1:%d"
			jetstream { store_dir: %q, sync_interval: always }
		`, p.name, p.port, filepath.Join(dir, "data"))
		if count > 1 {
			config += fmt.Sprintf(`
				cluster { name: test, listen: "127.0.0.1:%d", routes: [%s] }
			`, ports[count+i], strings.Join(routes, ", "))
		}
		if err := os.WriteFile(p.config, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		p.start()
		t.Cleanup(p.kill)
		list = append(list, p)
	}
	return list
}

func urls(processes []*process) (list []string) {
	for _, p := range processes {
		list = append(list, p.url())
	}
	return list
}

// storm revokes through nodes until stop is called, which returns how many were
// acknowledged.
func storm(t testing.TB, nodes []*node) (acknowledged func() int, stop func() []int) {
	var mu sync.Mutex
	var done []int
	next := 0
	end := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 * len(nodes) {
		n := nodes[i%len(nodes)]
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if err := n.list.Revoke(t.Context(), record(i)); err != nil {
					time.Sleep(5 * time.Millisecond)
					continue
				}
				mu.Lock()
				done = append(done, i)
				mu.Unlock()
			}
		})
	}
	acknowledged = func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(done)
	}
	return acknowledged, func() []int {
		close(end)
		wg.Wait()
		return done
	}
}

// goesOn waits until some more are acknowledged.
func goesOn(t testing.TB, acknowledged func() int) {
	t.Helper()
	before := acknowledged()
	eventually(t, "revocations are acknowledged", func() bool { return acknowledged() >= before+100 })
}

// A server that is killed and started again, in the middle of writes, loses
// nothing that was acknowledged, and no node needs a snapshot for it.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := newProcesses(t, 1)[0]
	c := Config{URLs: []string{server.url()}}
	nodes := levelNodes(t, 3, c)
	acknowledged, stop := storm(t, nodes)
	for range 2 {
		goesOn(t, acknowledged)
		server.kill()
		server.start()
	}
	goesOn(t, acknowledged)
	for _, i := range stop() {
		wants(t, nodes, record(i))
	}
	for _, n := range nodes {
		n.isLevel()
		if s := n.State(); snapshots(s) != s.Snapshots[cluster.ReasonNoCursor] {
			t.Errorf("there was a needless snapshot: %+v", s)
		}
	}
}

// Of three servers the one that leads is killed, in the middle of writes.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	servers := newProcesses(t, 3)
	c := Config{URLs: urls(servers), Replicas: 3}
	nodes := levelNodes(t, 3, c)
	acknowledged, stop := storm(t, nodes)
	goesOn(t, acknowledged)
	leader := leaderOf(t, servers)
	leader.kill()
	goesOn(t, acknowledged) // without it
	leader.start()
	goesOn(t, acknowledged)
	done := stop()
	for _, i := range done {
		wants(t, nodes, record(i))
	}
	fresh := levelNode(t, c)
	for _, i := range done {
		wants(t, []*node{fresh}, record(i))
	}
	for _, n := range append(nodes, fresh) {
		n.isLevel()
		t.Logf("%+v", n.State())
	}
}

// Three servers are shut down and started one after the other, as for an upgrade,
// in the middle of writes.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	servers := newProcesses(t, 3)
	c := Config{URLs: urls(servers), Replicas: 3}
	nodes := levelNodes(t, 3, c)
	acknowledged, stop := storm(t, nodes)
	for _, server := range servers {
		goesOn(t, acknowledged)
		inSync(t, servers) // as an operator waits before the next
		server.shutDown()
		goesOn(t, acknowledged) // without it
		server.start()
		server.listens()
	}
	goesOn(t, acknowledged)
	done := stop()
	nodes = append(nodes, levelNode(t, c))
	for _, i := range done {
		wants(t, nodes, record(i))
	}
	for _, n := range nodes {
		n.isLevel()
		if s := n.State(); snapshots(s) != s.Snapshots[cluster.ReasonNoCursor] {
			t.Errorf("there was a needless snapshot: %+v", s)
		}
	}
}

// inSync waits until all servers have all that the stream has.
func inSync(t testing.TB, servers []*process) {
	t.Helper()
	js := operator(t, strings.Join(urls(servers), ","))
	eventually(t, "all servers have the stream", func() bool {
		stream, err := js.Stream(t.Context(), DefaultStream)
		if err != nil {
			return false
		}
		info := stream.CachedInfo()
		current := 1 // that which leads
		for _, peer := range info.Cluster.Replicas {
			if peer.Current && !peer.Offline {
				current++
			}
		}
		return info.Cluster.Leader != "" && current == len(servers)
	})
}

// leaderOf is the server that leads the stream.
func leaderOf(t testing.TB, servers []*process) (leader *process) {
	t.Helper()
	js := operator(t, strings.Join(urls(servers), ","))
	eventually(t, "there is a leader", func() bool {
		stream, err := js.Stream(t.Context(), DefaultStream)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		for _, s := range servers {
			if s.name == stream.CachedInfo().Cluster.Leader {
				leader = s
			}
		}
		return leader != nil
	})
	return leader
}
