//go:build unix

package natscluster

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// BenchmarkHeal cuts one node of three off for a minute, while the others revoke
// 1,000 tokens a second, each in a message of its own or nearly so, and measures from
// the heal until the node knows all of them and says so. The nodes are as they are
// outside tests.
func BenchmarkHeal(b *testing.B) {
	const rate = 1000
	away := time.Minute
	if testing.Short() {
		away = 5 * time.Second
	}
	for name, cut := range map[string]func(*cable){"reset": (*cable).reset, "silent": (*cable).silence} {
		b.Run(name, func(b *testing.B) {
			server := newProcesses(b, 1)[0]
			line := newCable(b, server.port)
			far := newNodeWith(b, Config{URLs: []string{line.url()}}, cluster.Options{})
			near := newNodeWith(b, Config{URLs: []string{server.url()}}, cluster.Options{})
			near.isLevel()
			near.revoke(record(-1)) // as a cursor is that of a record
			var took []time.Duration
			sent, before := 0, snapshots(far.State())
			for range b.N {
				eventually(b, "a cursor is kept", func() bool {
					cursor, err := far.list.Cursor()
					return err == nil && cursor != nil
				})
				cut(line)
				ticker := time.NewTicker(time.Second / rate)
				var wg sync.WaitGroup
				for began := time.Now(); time.Since(began) < away; sent++ {
					<-ticker.C
					r := record(sent)
					wg.Go(func() {
						if err := near.list.Revoke(context.Background(), r); err != nil {
							b.Errorf("Revoke: %v", err)
						}
					})
				}
				ticker.Stop()
				wg.Wait()
				healed := time.Now()
				line.mend()
				for s := far.State(); !s.Level || s.Staleness > time.Since(healed); s = far.State() {
					time.Sleep(time.Millisecond)
				}
				took = append(took, time.Since(healed))
				if !far.knows(records(0, sent)...) {
					b.Error("a node that is level does not know all")
				}
			}
			report(b, took, "level")
			b.ReportMetric(float64(sent)/float64(b.N), "revocations")
			b.ReportMetric(float64(snapshots(far.State())-before)/float64(b.N), "snapshots")
			reportFsync(b)
		})
	}
}

// cable is a way to a server that can be cut.
type cable struct {
	t      testing.TB
	listen net.Listener
	port   int // of the server

	mu     sync.Mutex
	mended *sync.Cond // mu
	broken bool
	ends   []net.Conn
}

func newCable(t testing.TB, port int) *cable {
	t.Helper()
	c := &cable{t: t, port: port}
	c.mended = sync.NewCond(&c.mu)
	var err error
	c.listen, err = net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := c.listen.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.connect(near) })
		}
	})
	t.Cleanup(func() {
		_ = c.listen.Close()
		c.reset()
		c.mend()
		wg.Wait()
	})
	return c
}

func (c *cable) url() string { return "nats://" + c.listen.Addr().String() }

// connect carries a connection, once it can. While the cable is broken nothing comes
// through, in either direction, and nobody is told.
func (c *cable) connect(near net.Conn) {
	defer func() { _ = near.Close() }()
	c.wait()
	far, err := (&net.Dialer{}).Dial("tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.port}).String())
	if err != nil {
		return
	}
	c.mu.Lock()
	c.ends = append(c.ends, near, far)
	c.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { c.carry(far, near) })
	c.carry(near, far)
	wg.Wait()
}

func (c *cable) carry(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	room := make([]byte, 64<<10)
	for {
		n, err := from.Read(room)
		if err != nil && err != io.EOF || n == 0 {
			return
		}
		c.wait()
		if _, err := to.Write(room[:n]); err != nil {
			return
		}
	}
}

func (c *cable) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.broken {
		c.mended.Wait()
	}
}

// silence lets nothing through until the cable is mended.
func (c *cable) silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
}

// reset ends all connections, and none are made until the cable is mended.
func (c *cable) reset() {
	c.silence()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		_ = end.Close()
	}
	c.ends = nil
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = false
	c.mended.Broadcast()
}
