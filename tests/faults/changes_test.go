package faults

import (
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/tests/faults/history"
)

// losing notes that the engine loses data while f runs, and that the gateways have
// to give them back.
func (s *system) losing(f func()) {
	begin := s.written.Now()
	f()
	s.losses = append(s.losses, history.Event{Kind: history.Loss, Begin: begin, Turn: s.written.Now()})
}

// losses are faults that take from the engine what it has. They must not come
// together with a gateway that loses its store.
func losses() []fault {
	return []fault{
		{"the data are put back to what they were", func(s *system, _ *rand.Rand, d time.Duration) {
			s.engine.kill()
			older := s.engine.copied()
			s.engine.launch()
			s.goesOn()
			time.Sleep(d)
			s.losing(func() {
				s.engine.kill()
				s.engine.restore(older)
			})
			s.engine.launch()
		}, 2 * time.Second},
		{"the data are wiped", func(s *system, _ *rand.Rand, _ time.Duration) {
			s.losing(func() {
				s.engine.kill()
				s.engine.restore("")
			})
			s.engine.launch()
		}, 0},
		{"the stream is deleted", func(s *system, _ *rand.Rand, _ time.Duration) {
			s.losing(s.engine.remove)
		}, 0},
	}
}

// goesOn waits until some more revocations are acknowledged.
func (s *system) goesOn() {
	before := s.tokens.count()
	s.until("revocations are acknowledged", func() bool { return s.tokens.count() >= before+20 })
}

// changes are what operators do.
func changes() []fault {
	return []fault{
		{"all is restarted, one after the other", func(s *system, _ *rand.Rand, _ time.Duration) {
			for i := range s.engine.servers {
				s.engine.servers[i].end(syscall.SIGTERM)
				s.engine.servers[i].launch()
				s.settle()
			}
			for _, g := range s.gateways {
				g.stop(syscall.SIGTERM)
				g.start()
			}
		}, 0},
		{"a gateway loses its store", func(s *system, chance *rand.Rand, _ time.Duration) {
			g := s.any(chance)
			g.stop(syscall.SIGKILL)
			if err := os.RemoveAll(g.dir); err != nil {
				s.t.Fatal(err)
			}
			g.start()
		}, 0},
		{"a gateway is new", func(s *system, _ *rand.Rand, _ time.Duration) {
			g := s.newGateway("another")
			g.start()
			s.gateways = append(s.gateways, g)
			s.attend(g)
		}, 0},
	}
}

// longRequest begins with a token that was revoked long ago, at a gateway that
// cannot know that yet, and ends when the gateway does.
func longRequest() fault {
	return fault{"a request takes longer than nothing comes or goes", func(s *system, chance *rand.Rand, d time.Duration) {
		at := chance.IntN(len(s.gateways))
		g, other := s.gateways[at], s.gateways[(at+1)%len(s.gateways)]
		token, well := newToken(), make(chan struct{})
		var request sync.WaitGroup
		s.blocked(g, []string{out, back}, func() {
			s.until("it is revoked elsewhere", func() bool { return other.revoke(token) == http.StatusOK })
			time.Sleep(d)
			request.Go(func() { g.askSlowly(token, func() { <-well }) })
			time.Sleep(10 * tick)
		})
		s.until(g.name+" is well, and knows", func() bool { return g.well() && g.ask(token, false) == http.StatusUnauthorized })
		close(well)
		request.Wait()
	}, hold}
}

// elsewhere is that a server loses the others, and gateways have to find those.
func elsewhere() fault {
	return fault{"a server stays isolated", func(s *system, _ *rand.Rand, _ time.Duration) {
		s.engine.isolated(s.engine.leader(), func() {
			time.Sleep(hold)
			s.settle()
		})
	}, 0}
}
