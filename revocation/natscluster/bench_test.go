//go:build unix

package natscluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// All figures are of servers in a process of their own, with sync_interval: always,
// and stand beside what one fsync takes at the same place.

// BenchmarkSpread revokes on one of three nodes, 200 times a second, and measures
// from the success answer until the others refuse.
func BenchmarkSpread(b *testing.B) {
	server := newProcesses(b, 1)[0]
	nodes := levelNodes(b, 3, Config{URLs: []string{server.url()}})
	var took, answered []time.Duration
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	var mu sync.Mutex
	var wg sync.WaitGroup
	list := records(0, b.N)
	b.ResetTimer()
	for i := range list {
		<-ticker.C
		wg.Go(func() { // as the next does not wait for the one before
			began := time.Now()
			if err := nodes[i%3].list.Revoke(context.Background(), list[i]); err != nil {
				b.Errorf("Revoke: %v", err)
				return
			}
			success := time.Now()
			for _, n := range nodes {
				for !n.knows(list[i]) {
					time.Sleep(100 * time.Microsecond)
				}
			}
			known := time.Since(success)
			mu.Lock()
			defer mu.Unlock()
			took, answered = append(took, known), append(answered, success.Sub(began))
		})
	}
	wg.Wait()
	report(b, took, "known")
	report(b, answered, "answer")
	reportFsync(b)
}

// BenchmarkRevoke64 is how many revocations 64 callers get acknowledged through one
// node, while another follows.
func BenchmarkRevoke64(b *testing.B) {
	server := newProcesses(b, 1)[0]
	nodes := levelNodes(b, 2, Config{URLs: []string{server.url()}})
	list := records(0, b.N)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= len(list) {
					return
				}
				if err := nodes[0].list.Revoke(context.Background(), list[i]); err != nil {
					b.Errorf("Revoke: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acknowledged/s")
	reportFsync(b)
}

// BenchmarkSnapshot brings b.N records into an empty node, as many in a message as
// the name says.
func BenchmarkSnapshot(b *testing.B) {
	for _, together := range []int{1, 64, cluster.MaxBatch} {
		b.Run(fmt.Sprint(together), func(b *testing.B) {
			server := newProcesses(b, 1)[0]
			c := Config{URLs: []string{server.url()}}
			full, err := Open(c)
			check(b, err)
			s, err := full.link.await(context.Background(), time.Minute)
			check(b, err)
			_, err = full.stream(context.Background(), s.js) // makes it
			check(b, err)
			var wg sync.WaitGroup
			parts := make(chan []revocation.Record)
			for range 64 {
				wg.Go(func() {
					for part := range parts {
						if err := full.Apply(context.Background(), part); err != nil {
							b.Errorf("Apply: %v", err)
						}
					}
				})
			}
			list := records(0, b.N)
			for part := range slices.Chunk(list, together) {
				parts <- part
			}
			close(parts)
			wg.Wait()
			check(b, full.Close())
			b.ResetTimer()
			before := cpu(b)
			n := levelNode(b, c)
			b.StopTimer()
			b.ReportMetric((cpu(b)-before).Seconds()*1e6/float64(b.N), "cpu-s/million")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			reportFsync(b)
			if !n.knows(list...) {
				b.Error("a node that is level does not know all")
			}
		})
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func report(b *testing.B, list []time.Duration, name string) {
	slices.Sort(list)
	for _, p := range []int{50, 99} {
		if len(list) > 0 {
			b.ReportMetric(float64(list[len(list)*p/100].Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", name, p))
		}
	}
}

// reportFsync says what it takes here to make a page durable.
func reportFsync(b *testing.B) {
	b.Helper()
	b.StopTimer()
	f, err := os.Create(filepath.Join(b.TempDir(), "fsync"))
	check(b, err)
	defer func() { _ = f.Close() }()
	var list []time.Duration
	page := make([]byte, 4096)
	for range 100 {
		began := time.Now()
		_, err := f.Write(page)
		check(b, err)
		check(b, f.Sync())
		list = append(list, time.Since(began))
	}
	report(b, list, "fsync")
}
