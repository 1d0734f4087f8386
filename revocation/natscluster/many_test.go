package natscluster

import (
	"bytes"
	"flag"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/memorystore"
)

var manyNodes = flag.Int("nodes", 50, "how many there are in TestManyNodes")

// Many nodes whose only server is killed come back, and are level again within
// seconds; what one of them revokes then is known to all.
func TestManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not short")
	}
	many := *manyNodes
	server := newProcesses(t, 1)[0]
	server.syncLazily()
	c := Config{URLs: []string{server.url()}}
	first := newManyNode(t, c)
	first.isLevel()
	first.revoke(records(0, 1000)...)
	nodes := []*node{first}
	began := time.Now()
	for range many - 1 {
		nodes = append(nodes, newManyNode(t, c))
	}
	t.Logf("%d nodes have joined, the last after %s", many, allLevel(nodes, began))
	used, at, sent := server.cpu(), time.Now(), server.last(t)
	time.Sleep(3 * time.Second) // which is measured
	took := time.Since(at)
	t.Logf("%.0f messages/s while nothing is revoked, for which the server takes %.0f %% of a processor",
		float64(server.last(t)-sent)/took.Seconds(), 100*(server.cpu()-used).Seconds()/took.Seconds())

	server.kill()
	server.start()
	server.listens()
	healed := time.Now()
	last := allLevel(nodes, healed)
	t.Logf("the last is level %s after the server is back, which took %s of a processor", last, server.cpu())
	if last > 20*time.Second {
		t.Errorf("the last is level after %s", last)
	}
	for _, n := range nodes {
		if s := n.State(); snapshots(s) > s.Snapshots["no_cursor"] || s.Syncs > 4 {
			t.Errorf("a node has begun anew too often: %+v", s)
			break
		}
	}
	began = time.Now()
	first.revoke(record(1000))
	wants(t, nodes, records(0, 1001)...)
	t.Logf("one more is known to all after %s", time.Since(began))
}

// newManyNode is one that takes little memory, as it is outside tests otherwise.
func newManyNode(t *testing.T, c Config) *node {
	t.Helper()
	store, err := memorystore.New().Open()
	check(t, err)
	list, err := revocation.Open(t.Context(), store, revocation.Options{CacheBytes: 64 << 10})
	check(t, err)
	engine, err := Open(c)
	check(t, err)
	n := &node{cluster.Join(list, engine, cluster.Options{}), t, list, engine}
	t.Cleanup(func() {
		check(t, n.Close())
		check(t, list.Close())
	})
	return n
}

// allLevel waits until all nodes know what the cluster knew at a time, and says how
// long after that it was.
func allLevel(nodes []*node, since time.Time) (last time.Duration) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, n := range nodes {
		wg.Go(func() {
			eventually(n.t, "the node is level", func() bool {
				s := n.State()
				return s.Level && s.Staleness < time.Since(since)
			})
			mu.Lock()
			defer mu.Unlock()
			last = max(last, time.Since(since))
		})
	}
	wg.Wait()
	return last
}

// syncLazily starts the server anew, so that how soon the disk of this machine has
// each of the heartbeats is not what is measured.
func (p *process) syncLazily() {
	p.t.Helper()
	p.kill()
	config, err := os.ReadFile(p.config)
	check(p.t, err)
	check(p.t, os.WriteFile(p.config, bytes.Replace(config, []byte("sync_interval: always"), []byte("sync_interval: 1m"), 1), 0o600))
	p.start()
	p.listens()
}

// cpu is what the process has used of a processor; 0 where that cannot be known.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int
	for _, field := range fields[11:13] {
		n, _ := strconv.Atoi(string(field))
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// last is the number of the last message in the stream.
func (p *process) last(t *testing.T) uint64 {
	t.Helper()
	stream, err := operator(t, p.url()).Stream(t.Context(), DefaultStream)
	check(t, err)
	return stream.CachedInfo().State.LastSeq
}
