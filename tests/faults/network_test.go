package faults

import (
	"fmt"
	"strings"
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

// blocked cuts a gateway off in the directions given, so that nobody is told.
func (s *system) blocked(g *gateway, directions []string, d time.Duration) {
	s.blockedWhile(g, directions, func() { time.Sleep(d) })
}

func (s *system) blockedWhile(g *gateway, directions []string, hold func()) {
	g.spoiled("timeout", nil, directions, func() { s.cut([]*gateway{g}, hold) })
}

// reset resets all connections of a gateway as soon as something is said.
func (s *system) reset(g *gateway, d time.Duration) {
	g.spoiled("reset_peer", nil, []string{out, back}, func() { time.Sleep(d) })
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
