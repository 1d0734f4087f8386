package tests

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// natsBinary is nats-server, built once.
var natsBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "nats-server")
	out, err := exec.Command("go", "build", "-o", path, "./natsserver").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building nats-server: %w\n%s", err, out)
	}
	return path, nil
})

// nats is a server that runs, or ran.
type nats struct {
	t    *testing.T
	dir  string // its data and configuration
	port string
	url  string
	logs *logs
	cmd  *exec.Cmd
	done chan struct{}
}

// startNATS runs a server with JetStream, in which nothing is stored yet.
func startNATS(t *testing.T) *nats {
	t.Helper()
	port := freePort(t)
	n := &nats{t: t, dir: t.TempDir(), port: port, url: "nats://127.0.0.1:" + port, logs: new(logs)}
	config := fmt.Sprintf("listen: 127.0.0.1:%s\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n", port, n.data())
	if err := os.WriteFile(filepath.Join(n.dir, "nats.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	t.Cleanup(func() {
		n.kill(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("NATS printed:\n%s", tail(n.logs.String(), 4000))
		}
	})
	return n
}

func (n *nats) data() string { return filepath.Join(n.dir, "data") }

func (n *nats) start() {
	n.t.Helper()
	path, err := natsBinary()
	if err != nil {
		n.t.Fatal(err)
	}
	n.cmd = exec.Command(path, "-c", filepath.Join(n.dir, "nats.conf"))
	n.cmd.Stdout, n.cmd.Stderr = n.logs, n.logs
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(n.cmd, n.done)
	for range 1000 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+n.port); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	n.t.Fatal("NATS does not start")
}

func (n *nats) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// kill ends the process with a signal and waits for it.
func (n *nats) kill(s syscall.Signal) {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Signal(s)
	<-n.done
	n.cmd = nil
}
