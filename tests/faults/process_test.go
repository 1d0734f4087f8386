package faults

import (
	"fmt"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"math/rand/v2"
)

// process is a program that runs, or ran, and may run again.
type process struct {
	t       *testing.T
	name    string
	command func() *exec.Cmd
	logs    logs

	mu    sync.Mutex
	cmd   *exec.Cmd // nil while it does not run
	ended chan struct{}
}

// launch starts the program.
func (p *process) launch() {
	p.t.Helper()
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = &p.logs, &p.logs
	_, _ = fmt.Fprintf(&p.logs, "== %s is started at %s\n", p.name, time.Now().UTC().Format("15:04:05.000"))
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	guard.tell("+", cmd.Process.Pid)
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		guard.tell("-", cmd.Process.Pid)
		close(ended)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.ended = cmd, ended
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		p.t.Fatalf("%s does not run", p.name)
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%s: %s: %v", p.name, s, err)
	}
}

// end ends the process with a signal, and waits for that.
func (p *process) end(s syscall.Signal) {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(s)
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		p.t.Errorf("%s did not end after %s", p.name, s)
		_ = cmd.Process.Kill()
		<-ended
	}
}

// died says whether the process ended by itself.
func (p *process) died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// logs is the last of what a process has printed.
type logs struct {
	mu sync.Mutex
	b  []byte
}

const maxLogs = 1 << 20

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b = append(l.b, p...); len(l.b) > 2*maxLogs {
		l.b = append([]byte(nil), l.b[len(l.b)-maxLogs:]...)
	}
	return len(p), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// ports are below those that the system gives to outgoing connections, so that one
// that was free stays free while a process is away. Nobody listens to find out: a
// process that is started meanwhile would have the listener too, for a moment.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(25500 + rand.IntN(6000)))
	return &n
}()

func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := int(nextPort.Add(1))
		conn, err := net.Dial("tcp", local(port))
		if err != nil {
			return port
		}
		_ = conn.Close()
	}
	t.Fatal("no port is free")
	return 0
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
