//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const caddyfile = `
{
	admin %s
	auto_https off
	token_revocation {
		store bolt %s
		client backend {
			secret backend-secret
		}
	}
}
http://%s {
	token_revocation {
		rate_limit 1000000 1s
	}
}
`

// node is a Caddy that runs.
type node struct {
	binary, admin, site, store string
	cmd                        *exec.Cmd
	own                        atomic.Int64 // most memory that it had of its own, in bytes
	stopped                    chan struct{}
}

// start runs a Caddy with a new denylist and waits until it serves.
func start(binary, dir string) (*node, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n := &node{binary: binary, store: filepath.Join(dir, "denylist.db"), stopped: make(chan struct{})}
	for _, address := range []*string{&n.admin, &n.site} {
		listener, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			return nil, err
		}
		*address = listener.Addr().String()
		_ = listener.Close()
	}
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, fmt.Appendf(nil, caddyfile, n.admin, n.store, n.site), 0o600); err != nil {
		return nil, err
	}
	n.cmd = exec.Command(binary, "run", "--config", config)
	n.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	go n.watch()
	for range 300 {
		if answer, err := http.Get("http://" + n.site); err == nil {
			return n, answer.Body.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	n.stop()
	return nil, errors.New("the Caddy under test does not serve")
}

func (n *node) stop() {
	close(n.stopped)
	_ = n.cmd.Process.Signal(os.Interrupt)
	_ = n.cmd.Wait()
}

// watch looks at what memory Caddy has of its own; the file of its store, which is
// mapped into memory, can be taken away from it.
func (n *node) watch() {
	for {
		select {
		case <-n.stopped:
			return
		case <-time.After(100 * time.Millisecond):
			n.own.Store(max(n.own.Load(), n.status("RssAnon")))
		}
	}
}

func (n *node) peak() int64 { return n.status("VmHWM") }

// status is a line of what Linux knows of the process, in bytes.
func (n *node) status(name string) int64 {
	page, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	lines := bufio.NewScanner(bytes.NewReader(page))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// revokeAt revokes tokens as a client, so many a second, until it is asked how
// long that took.
func (n *node) revokeAt(rate int) (report func() string) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	failed := 0
	wg.Go(func() {
		ticks := time.NewTicker(time.Second / time.Duration(rate))
		defer ticks.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-ticks.C:
			}
			wg.Go(func() { // at its time, also if the one before still waits
				began := time.Now()
				err := n.revoke(fmt.Sprintf("meanwhile-%d-%d", began.UnixNano(), i))
				mu.Lock()
				defer mu.Unlock()
				if took = append(took, time.Since(began)); err != nil {
					failed++
				}
			})
		}
	})
	return func() string {
		close(stop)
		wg.Wait()
		if len(took) == 0 {
			return "no client revoked anything"
		}
		slices.Sort(took)
		at := func(part float64) time.Duration {
			return took[int(part*float64(len(took)-1))].Round(100 * time.Microsecond)
		}
		return fmt.Sprintf("%d revocations of clients (%d failed) took: half of them up to %s, 99 %% up to %s, all up to %s",
			len(took), failed, at(0.5), at(0.99), at(1))
	}
}

func (n *node) revoke(token string) error {
	form := url.Values{"token": {token}, "client_id": {"backend"}, "client_secret": {"backend-secret"}}
	answer, err := http.PostForm("http://"+n.site+"/token/revocation", form)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}
