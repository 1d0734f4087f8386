// Package tests holds the module to its promises from outside: a real Caddy
// process, built from this tree, with a real Caddyfile; real HTTP clients; a
// real upstream that counts what reaches it. It imports nothing of the module.
package tests

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binary is the Caddy under test, built with the race detector where the tests
// are.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "token-revocation")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	http.DefaultClient.Transport = recording{http.DefaultTransport.(*http.Transport)}
	binary = filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", raceFlag, "-o", binary, "../caddymodule/caddy")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building Caddy:", err)
		return 1
	}
	return m.Run()
}

// watchSources looks at every source file, which is how "go test" learns that
// what it remembers of these tests is of no use once one has changed: it cannot
// know what the Caddy under test is built from.
var watchSources = sync.OnceValue(func() error {
	return filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".go", ".mod", ".sum":
			_, err = os.Stat(path)
		}
		return err
	})
})

// caddy is a Caddy that runs, or ran.
type caddy struct {
	t     *testing.T
	cmd   *exec.Cmd
	dir   string // home, data and configuration
	url   string // of the site at PORT
	admin string // the address of the admin endpoint
	names *strings.Replacer
	logs  *logs
	ended chan struct{}
	// wrapper is a command that is to run the next process.
	wrapper []string
	// asItStands is why its Caddyfile is not to be made loud, and sampled is why it
	// is not to log each line that it logs a thousand times a second.
	asItStands, sampled string
	witness
}

// logs is everything that a process prints.
type logs struct {
	mu   sync.Mutex
	b    bytes.Buffer
	mark int // where those of the process begin that was launched last
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// begin says that another process begins.
func (l *logs) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark = l.b.Len()
}

// say says whether a text stands in the logs of the process launched last.
func (l *logs) say(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes()[l.mark:], []byte(text))
}

// start runs Caddy with a Caddyfile and waits until it serves. In the Caddyfile
// stand PORT, ADMIN and UPSTREAM for addresses and STORE for the path of the
// denylist. Beside what stands there, it says all that it can (loud). When the
// test ends it is stopped, and everything that it said and wrote is looked through.
func start(t *testing.T, caddyfile string, up *upstream) *caddy {
	t.Helper()
	c := newCaddy(t, t.TempDir(), up)
	c.launch(caddyfile)
	return c
}

// startSampled is start for a Caddy that does not log everything; why says why.
func startSampled(t *testing.T, caddyfile string, up *upstream, why string) *caddy {
	t.Helper()
	c := newCaddy(t, t.TempDir(), up)
	c.sampled = why
	c.launch(caddyfile)
	return c
}

// newCaddy prepares a Caddy in a directory, of which launch can run several
// processes, one after the other.
func newCaddy(t *testing.T, dir string, up *upstream) *caddy {
	t.Helper()
	if err := watchSources(); err != nil {
		t.Fatal(err)
	}
	port, admin, upstreamAddress := freePort(t), freePort(t), "127.0.0.1:1"
	if up != nil {
		upstreamAddress = up.address
	}
	c := &caddy{t: t, dir: dir, logs: new(logs), url: "http://localhost:" + port, admin: "127.0.0.1:" + admin}
	c.names = strings.NewReplacer(
		"PORT", port, "ADMIN", c.admin, "UPSTREAM", upstreamAddress,
		"STORE", filepath.Join(dir, "store", "denylist.db"),
	)
	admins.Store(c.admin, c)
	t.Cleanup(func() {
		c.ask()
		c.kill(syscall.SIGTERM)
		admins.Delete(c.admin)
		c.keepsSecrets()
		if t.Failed() {
			t.Logf("Caddy printed:\n%s", tail(c.logs.String(), 8000))
		}
		for _, bad := range []string{"DATA RACE", "panic:", "panic serving", "fatal error:"} {
			if strings.Contains(c.logs.String(), bad) {
				t.Errorf("Caddy printed %q:\n%s", bad, tail(c.logs.String(), 8000))
			}
		}
	})
	return c
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// config writes a Caddyfile and returns its path.
func (c *caddy) config(caddyfile string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(c.names.Replace(caddyfile)), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// launch starts a process and waits until it serves.
func (c *caddy) launch(caddyfile string) {
	c.t.Helper()
	if err := c.tryLaunch(caddyfile); err != nil {
		c.t.Fatalf("%v\n%s", err, tail(c.logs.String(), 8000))
	}
}

// tryLaunch is launch for a Caddy that may refuse to start.
func (c *caddy) tryLaunch(caddyfile string) error {
	c.t.Helper()
	c.before()
	c.cmd = c.command("run", "--config", c.config(c.given(caddyfile)), "--adapter", "caddyfile")
	if len(c.wrapper) > 0 {
		wrapped := exec.Command(c.wrapper[0], append(c.wrapper[1:], c.cmd.Args...)...)
		wrapped.Dir, wrapped.Env = c.cmd.Dir, c.cmd.Env
		c.cmd = wrapped
	}
	c.cmd.Stdout, c.cmd.Stderr = c.logs, c.logs
	c.logs.begin()
	if err := c.cmd.Start(); err != nil {
		return err
	}
	c.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(c.cmd, c.ended)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case <-c.ended:
			return fmt.Errorf("Caddy ended: %s", c.cmd.ProcessState)
		case <-time.After(10 * time.Millisecond):
		}
		// The configuration is saved once all of it runs.
		if c.logs.say("serving initial configuration") {
			c.served = true
			return nil
		}
	}
	return fmt.Errorf("Caddy does not serve")
}

// command is a caddy command in the environment of this Caddy.
func (c *caddy) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "HOME="+c.dir, "XDG_DATA_HOME="+c.dir+"/data", "XDG_CONFIG_HOME="+c.dir+"/config",
		"GORACE=halt_on_error=1 atexit_sleep_ms=20") // it would sleep for a second
	return cmd
}

// kill ends the process with a signal and waits for it. The logs of a process
// that is launched later follow those of this one.
func (c *caddy) kill(signal os.Signal) {
	if c.cmd == nil || c.cmd.Process == nil {
		return
	}
	_ = c.cmd.Process.Signal(signal)
	select {
	case <-c.ended:
	case <-time.After(time.Minute):
		c.t.Errorf("Caddy did not end after %s", signal)
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
	c.cmd = nil
}

// ports are below those that the system gives to outgoing connections, so that
// one that was free stays free until it is used. Nobody listens to find out: a
// process that is started meanwhile would have the listener too, for a moment.
var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(15000 + rand.IntN(9000)))
	return &n
}()

func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := fmt.Sprint(nextPort.Add(1))
		conn, err := net.Dial("tcp", "localhost:"+port)
		if err != nil {
			return port
		}
		_ = conn.Close()
	}
	t.Fatal("no port is free")
	return ""
}
