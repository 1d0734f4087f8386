//go:build unix

package natscluster

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// Nodes are connected within about a second of their only server being back, and
// level when they have given each other the time to say what it has lost: here with
// the slack of a busy machine.
func TestHeal(t *testing.T) {
	t.Parallel()
	const slack = 4 * time.Second
	const connects, settles = time.Second + slack, 3500*time.Millisecond + 2*slack
	stop := func(d time.Duration) func(*testing.T, *process) time.Time {
		return func(t *testing.T, p *process) time.Time {
			check(t, p.cmd.Process.Signal(syscall.SIGSTOP))
			time.Sleep(d) // which is what is tested
			check(t, p.cmd.Process.Signal(syscall.SIGCONT))
			return time.Now()
		}
	}
	for name, cut := range map[string]func(*testing.T, *process) time.Time{
		"killed and started": func(t *testing.T, p *process) time.Time {
			p.kill()
			time.Sleep(time.Second)
			p.start()
			p.listens()
			return time.Now()
		},
		"stopped for 2 s": stop(2 * time.Second),
		"stopped for 6 s": stop(6 * time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newProcesses(t, 1)[0]
			var nodes []*node
			for range 5 {
				n := newNodeWith(t, Config{URLs: []string{server.url()}}, cluster.Options{}) // as it is outside tests
				n.isLevel()
				nodes = append(nodes, n)
			}
			nodes[0].revoke(record(1))
			healed := cut(t, server)
			after := func(what string, limit time.Duration, so func(*node) bool) {
				t.Helper()
				var took []time.Duration
				for _, n := range nodes {
					eventually(t, "the node is "+what, func() bool { return so(n) })
					took = append(took, time.Since(healed))
				}
				t.Logf("%s after %v", what, took)
				if slices.Max(took) > limit {
					t.Errorf("%s after %s; want at most %s", what, slices.Max(took), limit)
				}
			}
			after("connected", connects, func(n *node) bool { _, err := n.engine.session(); return err == nil })
			after("level", settles, func(n *node) bool {
				s := n.State()
				return s.Level && s.Staleness < time.Since(healed)
			})
			wants(t, nodes, record(1))
		})
	}
}
