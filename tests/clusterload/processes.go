package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// processes are those that were started here.
type processes struct {
	dir  string
	list []*exec.Cmd
}

const patience = 30 * time.Second // for each to serve

func (p *processes) start(binary, dir string, args ...string) error {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	p.list = append(p.list, cmd)
	return nil
}

// stop ends them, and what depends on another first.
func (p *processes) stop() (err error) {
	for i := len(p.list) - 1; i >= 0; i-- {
		_ = p.list[i].Process.Signal(os.Interrupt)
		if ended := p.list[i].Wait(); ended != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", p.list[i].Path, ended))
		}
	}
	return err
}

// place makes a directory, and finds free addresses.
func (p *processes) place(name string, addresses ...*string) (dir string, err error) {
	dir = filepath.Join(p.dir, name)
	for _, address := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		*address = l.Addr().String()
		_ = l.Close()
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// engine starts a server for NATS and returns its URL.
func (p *processes) engine(binary string) (url string, err error) {
	var address string
	dir, err := p.place("engine", &address)
	if err != nil {
		return "", err
	}
	config := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, sync_interval: always }\n", address, filepath.Join(dir, "data"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", err
	}
	if err := p.start(binary, dir, "-c", config); err != nil {
		return "", err
	}
	return "nats://" + address, within("the engine serves", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

const caddyfile = `
{
	admin %s
	auto_https off
	token_revocation {
		store bolt %s
		cluster nats %s
		client backend {
			secret backend-secret
		}
	}
}
http://%s {
	token_revocation {
		rate_limit 1000000 1s
	}
	respond "let through"
}
`

// gateway starts a Caddy with a new denylist, and waits until it lets tokens pass:
// until it knows what the cluster knows.
func (p *processes) gateway(binary string, number int, url string) (*gateway, error) {
	var admin, site string
	dir, err := p.place(fmt.Sprint("gateway", number), &admin, &site)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "Caddyfile")
	text := fmt.Appendf(nil, caddyfile, admin, filepath.Join(dir, "denylist.db"), url, site)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return nil, err
	}
	if err := p.start(binary, dir, "run", "--config", config); err != nil {
		return nil, err
	}
	g := &gateway{site: "http://" + site}
	return g, within("a gateway lets pass what is not revoked", func() bool {
		status, err := g.ask("nobody-revokes-this")
		return err == nil && status == http.StatusOK
	})
}

func within(what string, so func() bool) error {
	for end := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("not within %s: %s", patience, what)
		}
	}
	return nil
}
