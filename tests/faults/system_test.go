package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/tests/faults/history"
)

// patience is how long anything may take to be well again.
const patience = 90 * time.Second

// system is gateways, their engine, and all that lies between, with traffic.
type system struct {
	t        *testing.T
	dir      string
	allow    bool // gateways let pass what they do not know to be revoked
	written  *history.File
	requests atomic.Int64
	tokens   tokens
	proxies  *proxies
	engine   *engine
	gateways []*gateway
	traffic  traffic
	close    []func() // what is not a process, in the end

	losses []history.Event // from which the gateways have not recovered
	found  map[string]bool
}

// newSystem starts three gateways and three servers.
func newSystem(t *testing.T, allow bool) *system {
	t.Helper()
	dir, err := os.MkdirTemp(work, "system")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, dir: dir, allow: allow, found: map[string]bool{}}
	if s.written, err = history.Create(s.path()); err != nil {
		t.Fatal(err)
	}
	s.written.Add(history.Event{Kind: history.Setup, MaxStaleness: maxStaleness, Allow: allow})
	s.proxies = newProxies(s)
	s.engine = newEngine(t, dir, s.proxies)
	s.begin()
	t.Cleanup(s.clean)
	s.during("the beginning", func() {
		s.engine.launch()
		for i := range 3 {
			g := s.newGateway(fmt.Sprint("gateway", i))
			g.start()
			s.gateways = append(s.gateways, g)
			s.attend(g)
		}
	})
	return s
}

func (s *system) path() string { return filepath.Join(s.dir, "history.jsonl") }

// clean ends everything, and shows what there is to see.
func (s *system) clean() {
	s.traffic.stop()
	for _, p := range s.processes() {
		if p.died() {
			s.t.Errorf("%s has ended by itself", p.name)
		}
		p.end(syscall.SIGKILL)
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if strings.Contains(p.logs.String(), bad) {
				s.t.Errorf("%s printed %q", p.name, bad)
			}
		}
		if s.t.Failed() {
			s.t.Logf("%s printed:\n%s", p.name, tail(p.logs.String(), 6000))
		}
	}
	for _, end := range s.close {
		end()
	}
	if events, err := s.written.Events(); err == nil {
		s.t.Log(summary(events))
	}
	if err := s.written.Close(); err != nil {
		s.t.Error(err)
	}
	if *keep != "" {
		to := filepath.Join(*keep, filepath.Base(s.dir)+".jsonl")
		if err := os.Rename(s.path(), to); err != nil {
			s.t.Error(err)
		}
		for _, p := range s.processes() {
			_ = os.WriteFile(filepath.Join(*keep, filepath.Base(s.dir)+"."+p.name+".log"), []byte(p.logs.String()), 0o600)
		}
	}
}

func (s *system) processes() (list []*process) {
	for _, g := range s.gateways {
		list = append(list, g.process)
	}
	return append(list, s.engine.servers...)
}

// during does something to the system, waits until it is well again, and judges all
// that has happened.
func (s *system) during(what string, fault func()) {
	s.t.Helper()
	began, ended := time.Now(), false
	e := history.Event{Kind: history.Fault, Begin: s.written.Now(), What: what}
	end := func() {
		if !ended {
			e.End, ended = s.written.Now(), true
			s.written.Add(e)
		}
	}
	defer func() { // also if it is never well again
		end()
		s.judge()
	}()
	fault()
	faulty := time.Since(began)
	s.settle()
	end()
	s.check()
	s.t.Logf("%-60s %5.1fs, well again after %.1fs", what, faulty.Seconds(), (e.End - e.Begin - faulty).Seconds())
}

// settle waits until nothing is wrong with any gateway, and each can revoke.
func (s *system) settle() {
	s.t.Helper()
	for _, g := range s.gateways {
		s.until(g.name+" is well", g.well)
		s.until(g.name+" revokes", func() bool { return g.revoke(newToken()) == http.StatusOK })
	}
	for _, g := range s.gateways { // what was done to the later ones may have spoilt it again
		s.until(g.name+" is still well", g.well)
	}
	if len(s.losses) > 0 {
		s.giveBack()
	}
}

// giveBack waits until all gateways refuse all again that the engine had lost.
func (s *system) giveBack() {
	s.t.Helper()
	lost := s.tokens.all(func() {})
	s.until("all that the engine had lost is refused", func() bool {
		lost = s.askAll(lost, false)
		return len(lost) == 0
	})
	for _, loss := range s.losses {
		loss.End = s.written.Now()
		s.written.Add(loss)
	}
	s.losses = nil
}

// askAll asks all gateways with all of the tokens, and returns those that not all
// refuse.
func (s *system) askAll(tokens []string, final bool) (others []string) {
	var workers sync.WaitGroup
	var passed sync.Map
	for _, g := range s.gateways {
		var next atomic.Int64
		for range 3 {
			workers.Go(func() {
				for i := int(next.Add(1)) - 1; i < len(tokens); i = int(next.Add(1)) - 1 {
					if g.ask(tokens[i], final) != http.StatusUnauthorized {
						passed.Store(tokens[i], true)
					}
				}
			})
		}
	}
	workers.Wait()
	passed.Range(func(token, _ any) bool {
		others = append(others, token.(string))
		return true
	})
	return others
}

func (s *system) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it is not so: %s", what)
		}
	}
}

// check asks all gateways with all tokens whose revocation was ever acknowledged,
// and with some that nobody has revoked.
func (s *system) check() {
	e := history.Event{Kind: history.Settled}
	revoked := s.tokens.all(func() { e.Begin = s.written.Now() })
	s.askAll(revoked, true) // what is wrong with the answers the history shows
	for _, g := range s.gateways {
		e.Gateways = append(e.Gateways, g.name)
		// All these questions can keep a machine so busy that a gateway is stale, and says
		// so; whether it may, the history shows.
		s.until(g.name+" lets pass", func() bool { return g.ask("innocent-"+newToken(), true) == http.StatusOK })
	}
	e.End = s.written.Now()
	s.written.Add(e)
}

// judge judges all that has happened so far, and shows what is wrong with it that
// was not shown before.
func (s *system) judge() {
	s.t.Helper()
	var events []history.Event
	var err error
	s.traffic.paused(func() { events, err = s.written.Events() }) // no answer is outstanding
	if err != nil {
		s.t.Fatal(err)
	}
	shown := 0
	for _, v := range history.Check(events) {
		if s.found[v.String()] {
			continue
		}
		s.found[v.String()] = true
		s.t.Error(v)
		if shown++; shown <= 3 {
			s.t.Log(about(events, v))
		}
	}
}

// about is what else happened to the token of a violation, and near it.
func about(events []history.Event, v history.Violation) string {
	var lines []string
	slices.SortStableFunc(events, func(a, b history.Event) int { return int(a.Begin - b.Begin) })
	for _, e := range events {
		near := e.Begin < v.Event.End+time.Second && e.End > v.Event.Begin-time.Second
		switch e.Kind {
		case history.Revoke, history.Ask, history.Reached:
			near = e.Token == v.Event.Token && e.Token != ""
		case history.Report:
			near = near && e.Gateway == v.Event.Gateway
		}
		if near {
			line, _ := json.Marshal(e)
			lines = append(lines, string(line))
		}
	}
	return strings.Join(last(lines, 60), "\n")
}

// summary is how much has happened.
func summary(events []history.Event) string {
	count := map[string]int{}
	for _, e := range events {
		what := string(e.Kind)
		if e.Kind == history.Revoke || e.Kind == history.Ask {
			what += fmt.Sprint(" ", e.Status)
		}
		count[what]++
	}
	return fmt.Sprintf("%d events: %v", len(events), count)
}
