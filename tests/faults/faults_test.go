package faults

import (
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/tests/faults/history"
)

// hold is how long most faults last: longer than max_staleness.
const hold = maxStaleness + 2*time.Second

// fault is something that happens. It ends by itself.
type fault struct {
	what string
	do   func(s *system)
}

// faults are those that can happen at any time, and be mixed.
func faults() []fault {
	list := []fault{
		{"a server is killed", func(s *system) { s.engine.killed(rand.IntN(servers), 2*time.Second) }},
		{"the leader is killed", func(s *system) { s.engine.killed(s.engine.leader(), 2*time.Second) }},
		{"a majority of servers is killed", func(s *system) {
			stays := rand.IntN(servers)
			s.withoutEngine([]int{(stays + 1) % servers, (stays + 2) % servers}, hold)
		}},
		{"all servers are killed", func(s *system) { s.withoutEngine([]int{0, 1, 2}, hold) }},
		{"a gateway is killed", func(s *system) {
			g := s.any()
			g.stop(syscall.SIGKILL)
			time.Sleep(time.Second)
			g.start()
		}},
		{"nothing comes or goes", func(s *system) { s.blocked(s.any(), []string{out, back}, hold) }},
		{"nothing comes", func(s *system) { s.blocked(s.any(), []string{back}, hold) }},
		{"nothing goes", func(s *system) { s.blocked(s.any(), []string{out}, hold) }},
		{"a request takes longer than nothing comes or goes", func(s *system) {
			s.longRequest(rand.IntN(len(s.gateways)))
		}},
		{"connections are reset", func(s *system) { s.reset(s.any(), hold) }},
		{"the network is narrow", func(s *system) {
			s.any().spoiled("bandwidth", map[string]int{"rate": 4}, []string{out, back}, func() { time.Sleep(hold) })
		}},
		{"the network is slow", func(s *system) {
			s.any().spoiled("latency", map[string]int{"latency": 400, "jitter": 300}, []string{out, back}, func() { time.Sleep(hold) })
		}},
		{"the leader is isolated", func(s *system) {
			s.engine.isolated(s.engine.leader(), func() { time.Sleep(hold) })
		}},
	}
	for _, d := range stops() {
		list = append(list,
			fault{"the leader stands still for " + d.String(), func(s *system) { s.engine.servers[s.engine.leader()].still(d) }},
			fault{"a gateway stands still for " + d.String(), func(s *system) { s.any().still(d) }},
		)
	}
	return list
}

func stops() []time.Duration {
	list := []time.Duration{time.Second, 10 * time.Second}
	if *long {
		list = append(list, 30*time.Second)
	}
	return list
}

func (s *system) any() *gateway { return s.gateways[rand.IntN(len(s.gateways))] }

// killed ends a server, which is not there for a while.
func (e *engine) killed(server int, d time.Duration) {
	e.servers[server].end(syscall.SIGKILL)
	time.Sleep(d)
	e.servers[server].launch()
}

// withoutEngine ends so many servers that the others can do nothing, for a while.
func (s *system) withoutEngine(which []int, d time.Duration) {
	for _, i := range which {
		s.engine.servers[i].end(syscall.SIGKILL)
	}
	s.cut(s.gateways, func() { time.Sleep(d) })
	for _, i := range which {
		s.engine.servers[i].launch()
	}
}

// longRequest begins a request, with a token that was revoked long ago, at a gateway
// that cannot know that yet, and ends it when the gateway can.
func (s *system) longRequest(at int) {
	g, other := s.gateways[at], s.gateways[(at+1)%len(s.gateways)]
	token := newToken()
	well := make(chan struct{})
	var request sync.WaitGroup
	s.blockedWhile(g, []string{out, back}, func() {
		s.until("it is revoked elsewhere", func() bool { return other.revoke(token) == http.StatusOK })
		time.Sleep(hold)
		request.Go(func() { g.askSlowly(token, func() { <-well }) })
		time.Sleep(10 * tick)
	})
	s.until(g.name+" is well, and knows", func() bool { return g.well() && g.ask(token, false) == http.StatusUnauthorized })
	close(well)
	request.Wait()
}

// still stops a process for a while.
func (p *process) still(d time.Duration) {
	p.signal(syscall.SIGSTOP)
	time.Sleep(d)
	p.signal(syscall.SIGCONT)
}

// losing notes that the engine loses data while f runs, and that the gateways have
// to give them back.
func (s *system) losing(f func()) {
	begin := s.written.Now()
	f()
	s.loss = &history.Event{Kind: history.Loss, Begin: begin, Turn: s.written.Now()}
}

// losses are faults that take from the engine what it has.
func losses() []fault {
	return []fault{
		{"the data are put back to what they were", func(s *system) {
			s.engine.kill()
			older := s.engine.copied()
			s.engine.launch()
			s.settle()
			time.Sleep(2 * time.Second)
			s.losing(func() {
				s.engine.kill()
				s.engine.restore(older)
			})
			s.engine.launch()
		}},
		{"the data are wiped", func(s *system) {
			s.losing(func() {
				s.engine.kill()
				s.engine.restore("")
			})
			s.engine.launch()
		}},
		{"the stream is deleted", func(s *system) { s.losing(s.engine.remove) }},
	}
}

// changes are what operators do.
func changes() []fault {
	return []fault{
		{"all is restarted, one after the other", func(s *system) {
			for i := range s.engine.servers {
				s.engine.servers[i].end(syscall.SIGTERM)
				s.engine.servers[i].launch()
				s.settle()
			}
			for _, g := range s.gateways {
				g.stop(syscall.SIGTERM)
				g.start()
			}
		}},
		{"a gateway loses its store", func(s *system) {
			g := s.any()
			g.stop(syscall.SIGKILL)
			if err := os.RemoveAll(g.dir); err != nil {
				s.t.Fatal(err)
			}
			g.start()
		}},
		{"a gateway is new", func(s *system) {
			g := s.newGateway("another")
			g.start()
			s.gateways = append(s.gateways, g)
			s.attend(g)
		}},
	}
}

// After each fault, every revocation that was acknowledged is refused by every
// gateway, and meanwhile nobody has said or done what cannot be.
func TestFaults(t *testing.T) {
	s := newSystem(t, false)
	for _, list := range [][]fault{faults(), losses(), changes()} {
		for _, f := range list {
			if chosen(f.what) {
				s.during(f.what, func() { f.do(s) })
			}
		}
	}
}

// The same where gateways let pass what they cannot know.
func TestFaultsAllowed(t *testing.T) {
	s := newSystem(t, true)
	for _, f := range faults() {
		switch f.what {
		case "nothing comes or goes", "all servers are killed":
			s.during(f.what, func() { f.do(s) })
		}
	}
}
