package faults

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/tests/faults/history"
)

// cut notes that some gateways have no way to the engine, and back, while hold
// runs. That must be so before, and until after.
func (s *system) cut(gateways []*gateway, hold func()) {
	begin := s.written.Now()
	hold()
	end := s.written.Now()
	for _, g := range gateways {
		s.written.Add(history.Event{Kind: history.Cut, Begin: begin, End: end, Gateway: g.name})
	}
}

// spoiled puts something into all ways of a gateway, in the directions given, while
// hold runs.
func (g *gateway) spoiled(kind string, attributes map[string]int, directions []string, hold func()) {
	for _, w := range g.ways {
		for _, direction := range directions {
			w.spoil(kind, direction, attributes)
		}
	}
	hold()
	for _, w := range g.ways {
		w.mend()
	}
}

// blocked lets nothing pass to or from a gateway while hold runs, and nobody is
// told.
func (s *system) blocked(g *gateway, directions []string, hold func()) {
	g.spoiled("timeout", nil, directions, func() { s.cut([]*gateway{g}, hold) })
}

// isolated blocks the ways between a server and the others.
func (e *engine) isolated(server int, hold func()) {
	var ways []*way
	for pair, w := range e.routes {
		if strings.Contains(pair, fmt.Sprint(server)) {
			ways = append(ways, w)
			w.spoil("timeout", out, nil)
			w.spoil("timeout", back, nil)
		}
	}
	hold()
	for _, w := range ways {
		w.mend()
	}
}

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

// still stops a process for a while.
func (p *process) still(d time.Duration) {
	p.signal(syscall.SIGSTOP)
	time.Sleep(d)
	p.signal(syscall.SIGCONT)
}
