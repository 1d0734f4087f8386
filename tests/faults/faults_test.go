package faults

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// hold is how long most faults last: longer than max_staleness.
const hold = maxStaleness + 2*time.Second

// fault is something that happens for a while, and ends. Whom it strikes is up to
// chance.
type fault struct {
	what string
	do   func(s *system, chance *rand.Rand, d time.Duration)
	d    time.Duration
}

func gatewayFaults() []fault {
	both := []string{out, back}
	list := []fault{
		{"a gateway is killed", func(s *system, chance *rand.Rand, d time.Duration) {
			g := s.any(chance)
			g.stop(syscall.SIGKILL)
			time.Sleep(d)
			g.start()
		}, time.Second},
		{"nothing comes or goes", func(s *system, chance *rand.Rand, d time.Duration) {
			s.blocked(s.any(chance), both, func() { time.Sleep(d) })
		}, hold},
		{"nothing comes", func(s *system, chance *rand.Rand, d time.Duration) {
			s.blocked(s.any(chance), []string{back}, func() { time.Sleep(d) })
		}, hold},
		{"nothing goes", func(s *system, chance *rand.Rand, d time.Duration) {
			s.blocked(s.any(chance), []string{out}, func() { time.Sleep(d) })
		}, hold},
		{"connections are reset", func(s *system, chance *rand.Rand, d time.Duration) {
			s.any(chance).spoiled("reset_peer", nil, both, func() { time.Sleep(d) })
		}, hold},
		{"the network is narrow", func(s *system, chance *rand.Rand, d time.Duration) {
			s.any(chance).spoiled("bandwidth", map[string]int{"rate": 4}, both, func() { time.Sleep(d) })
		}, hold},
		{"the network is slow", func(s *system, chance *rand.Rand, d time.Duration) {
			s.any(chance).spoiled("latency", map[string]int{"latency": 400, "jitter": 300}, both, func() { time.Sleep(d) })
		}, hold},
	}
	for _, d := range stops {
		list = append(list, fault{"a gateway stands still", func(s *system, chance *rand.Rand, d time.Duration) {
			s.any(chance).still(d)
		}, d})
	}
	return list
}

func engineFaults() []fault {
	list := []fault{
		{"a server is killed", func(s *system, chance *rand.Rand, d time.Duration) {
			s.engine.killed(chance.IntN(servers), d)
		}, 2 * time.Second},
		{"the leader is killed", func(s *system, _ *rand.Rand, d time.Duration) {
			s.engine.killed(s.engine.leader(), d)
		}, 2 * time.Second},
		{"a majority of servers is killed", func(s *system, chance *rand.Rand, d time.Duration) {
			stays := chance.IntN(servers)
			s.withoutEngine([]int{(stays + 1) % servers, (stays + 2) % servers}, d)
		}, hold},
		{"all servers are killed", func(s *system, _ *rand.Rand, d time.Duration) {
			s.withoutEngine([]int{0, 1, 2}, d)
		}, hold},
		{"the leader is isolated", func(s *system, _ *rand.Rand, d time.Duration) {
			s.engine.isolated(s.engine.leader(), func() { time.Sleep(d) })
		}, hold},
	}
	for _, d := range stops {
		list = append(list, fault{"the leader stands still", func(s *system, _ *rand.Rand, d time.Duration) {
			s.engine.servers[s.engine.leader()].still(d)
		}, d})
	}
	return list
}

// stops is how long processes stand still: less than max_staleness, and longer.
var stops = []time.Duration{time.Second, 10 * time.Second, 30 * time.Second}

// happen has one fault after the other, and looks at what comes of it.
func (s *system) happen(list []fault) {
	s.t.Helper()
	for _, f := range list {
		if regexp.MustCompile(*only).MatchString(f.what) {
			s.during(fmt.Sprintf("%s (%s)", f.what, f.d), func() { f.do(s, s.chance(0), f.d) })
		}
	}
}

// After each fault, every revocation that was acknowledged is refused by every
// gateway, and meanwhile nobody has said or done what cannot be.
func TestGatewayFaults(t *testing.T) {
	t.Parallel()
	newSystem(t, false).happen(append(gatewayFaults(), longRequest()))
}

func TestEngineFaults(t *testing.T) {
	t.Parallel()
	newSystem(t, false).happen(append(engineFaults(), elsewhere()))
}

// The engine loses what it has, and gateways what they have.
func TestLosses(t *testing.T) {
	t.Parallel()
	newSystem(t, false).happen(append(losses(), changes()...))
}

// Gateways that are to let pass what they cannot know.
func TestAllow(t *testing.T) {
	t.Parallel()
	newSystem(t, true).happen(append(gatewayFaults()[1:2], engineFaults()[3]))
}
