package faults

import (
	"context"
	"encoding/json"
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
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/tests/faults/history"
)

// gateway is a Caddy with a denylist of its own, which it shares with others, before
// an API of its own.
type gateway struct {
	*process
	name    string
	dir     string
	address string // of its site
	admin   string
	ways    []*way // to the servers
	written *history.File
	client  *http.Client
	next    *atomic.Int64 // the number of the last request of anybody
	tokens  *tokens
}

const maxStaleness = 3 * time.Second

const caddyfile = `
{
	admin %s
	auto_https off
	log {
		exclude http.log.error admin.api
	}
	token_revocation {
		store bolt %s
		cluster nats %s {
			replicas 3
		}
		max_staleness %s
		when_unavailable %s
		client backend {
			secret backend-secret
		}
	}
}
http://%s {
	token_revocation_ready /ready
	token_revocation {
		rate_limit 1000000 1s
		token form access_token
	}
	reverse_proxy %s
}
`

// newGateway makes a gateway that is not started.
func (s *system) newGateway(name string) *gateway {
	s.t.Helper()
	t := s.t
	g := &gateway{name: name, dir: filepath.Join(s.dir, name), address: local(freePort(t)), admin: local(freePort(t)), written: s.written, next: &s.requests, tokens: &s.tokens}
	var urls []string
	for i, port := range s.engine.ports {
		g.ways = append(g.ways, s.proxies.to(fmt.Sprint(name, " ", i), port))
		urls = append(urls, "nats://"+g.ways[i].proxy.Listen)
	}
	policy := "deny"
	if s.allow {
		policy = "allow"
	}
	config := fmt.Sprintf(caddyfile, g.admin, filepath.Join(g.dir, "denylist.db"), strings.Join(urls, " "), maxStaleness, policy, g.address, s.api(g))
	path := filepath.Join(s.dir, name+".caddyfile")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	g.process = &process{t: t, name: name, command: func() *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, "caddy"), "run", "--config", path, "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "HOME="+g.dir, "XDG_DATA_HOME="+g.dir, "XDG_CONFIG_HOME="+g.dir, "GORACE=halt_on_error=1")
		return cmd
	}}
	transport := &http.Transport{MaxIdleConnsPerHost: 32, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext}
	s.close = append(s.close, transport.CloseIdleConnections)
	g.client = &http.Client{Transport: transport}
	return g
}

// api is what stands behind a gateway. It writes down what reaches it.
func (s *system) api(g *gateway) (address string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := g.written.Now()
		request, _ := strconv.ParseInt(r.Header.Get("X-Request"), 10, 64)
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		g.written.Add(history.Event{Kind: history.Reached, Begin: now, End: now, Gateway: g.name, Token: token, Request: request})
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintln(w, "reached the API")
	})}
	go func() { _ = server.Serve(listener) }()
	s.close = append(s.close, func() { _ = server.Close() })
	return listener.Addr().String()
}

// start starts the gateway and waits until it serves.
func (g *gateway) start() {
	g.t.Helper()
	_, err := os.Stat(filepath.Join(g.dir, "denylist.db"))
	e := history.Event{Kind: history.Start, Begin: g.written.Now(), Gateway: g.name, Empty: err != nil}
	g.launch()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", g.address); err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) || g.died() {
			g.t.Fatalf("%s does not serve:\n%s", g.name, tail(g.logs.String(), 4000))
		}
	}
	e.End = g.written.Now()
	g.written.Add(e)
}

// stop ends the gateway.
func (g *gateway) stop(s syscall.Signal) {
	e := history.Event{Kind: history.Stop, Begin: g.written.Now(), Gateway: g.name}
	g.end(s)
	e.End = g.written.Now()
	g.written.Add(e)
}

// How long clients wait: a gateway may try for some time to reach the engine.
const (
	revokeTimeout = 15 * time.Second
	askTimeout    = 5 * time.Second
	reportTimeout = 3 * time.Second
)

// send sends a request; status 0 is that it was not answered.
func (g *gateway) send(timeout time.Duration, method, address string, body io.Reader, header map[string]string) (status int, answer []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return 0, nil
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := g.client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, answer
}

// revoke tries to revoke a token, and writes it down.
func (g *gateway) revoke(token string) (status int) {
	e := history.Event{Kind: history.Revoke, Begin: g.written.Now(), Gateway: g.name, Token: token}
	form := url.Values{"token": {token}, "client_id": {"backend"}, "client_secret": {"backend-secret"}}
	e.Status, _ = g.send(revokeTimeout, http.MethodPost, "http://"+g.address+"/token/revocation", strings.NewReader(form.Encode()),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	g.tokens.note(token, e.Status == http.StatusOK, func() { e.End = g.written.Now() })
	g.written.Add(e)
	return e.Status
}

// ask sends a request with a token, and writes it down.
func (g *gateway) ask(token string, final bool) (status int) {
	e := history.Event{Kind: history.Ask, Gateway: g.name, Token: token, Request: g.next.Add(1), Final: final}
	e.Begin = g.written.Now()
	e.Status, _ = g.send(askTimeout, http.MethodGet, "http://"+g.address+"/", nil,
		map[string]string{"Authorization": "Bearer " + token, "X-Request": strconv.FormatInt(e.Request, 10)})
	e.End = g.written.Now()
	g.written.Add(e)
	return e.Status
}

// askSlowly is ask with a body of which the second half is sent when meanwhile
// returns.
func (g *gateway) askSlowly(token string, meanwhile func()) (status int) {
	body, to := io.Pipe()
	go func() {
		_, _ = io.WriteString(to, "of=a&form=")
		time.Sleep(tick) // in which the gateway looks at what there is
		meanwhile()
		_, _ = io.WriteString(to, "that&is=slow")
		_ = to.Close()
	}()
	e := history.Event{Kind: history.Ask, Gateway: g.name, Token: token, Request: g.next.Add(1)}
	e.Begin = g.written.Now()
	e.Status, _ = g.send(patience, http.MethodPost, "http://"+g.address+"/", body, map[string]string{
		"Authorization": "Bearer " + token, "X-Request": strconv.FormatInt(e.Request, 10),
		"Content-Type": "application/x-www-form-urlencoded",
	})
	e.End = g.written.Now()
	g.written.Add(e)
	return e.Status
}

// standing is what a gateway says of itself, to load balancers and to operators.
type standing struct {
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons"`
	Degraded []string `json:"degraded"`
	Cluster  struct {
		Level            bool     `json:"level"`
		StalenessSeconds *float64 `json:"staleness_seconds"`
		Owed             int      `json:"owed"`
		Lost             string   `json:"lost"`
	} `json:"cluster"`
}

// report asks a gateway what it says of itself, and writes it down: whether it is
// ready as load balancers are told, the rest as operators are.
func (g *gateway) report() (said standing, ok bool) {
	e := history.Event{Kind: history.Report, Begin: g.written.Now(), Gateway: g.name}
	var told standing
	ready, answer := g.send(reportTimeout, http.MethodGet, "http://"+g.address+"/ready", nil, nil)
	if json.Unmarshal(answer, &told) == nil && (ready == http.StatusOK) == told.Ready {
		e.Status, answer = g.send(reportTimeout, http.MethodGet, "http://"+g.admin+"/token_revocation/sync", nil, nil)
	}
	e.End = g.written.Now()
	if e.Status != http.StatusOK || json.Unmarshal(answer, &said) != nil {
		e.Status = 0
	} else {
		e.Ready, e.Level, e.What = told.Ready, said.Cluster.Level, said.Cluster.Lost
		e.Stale = slices.Contains(told.Reasons, "stale") || slices.Contains(told.Degraded, "stale")
		if s := said.Cluster.StalenessSeconds; s != nil {
			e.Word, e.Staleness = true, time.Duration(*s*float64(time.Second))
		}
	}
	g.written.Add(e)
	return said, e.Status != 0
}

// well says whether nothing is wrong with a gateway.
func (g *gateway) well() bool {
	said, ok := g.report()
	s := said.Cluster.StalenessSeconds
	return ok && said.Ready && said.Cluster.Level && said.Cluster.Owed == 0 && s != nil && *s < maxStaleness.Seconds()/2
}
