//go:build unix

package natscluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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

// BenchmarkRevoke64 is how many records 64 callers get acknowledged through one node,
// as many in a call as the name says, while two others follow.
func BenchmarkRevoke64(b *testing.B) {
	for _, each := range []int{1, 16} {
		b.Run(fmt.Sprint(each), func(b *testing.B) {
			server := newProcesses(b, 1)[0]
			nodes := levelNodes(b, 3, Config{URLs: []string{server.url()}})
			list := records(0, b.N)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 64 {
				wg.Go(func() {
					for {
						to := int(next.Add(int64(each)))
						from := to - each
						if from >= len(list) {
							return
						}
						if err := nodes[0].list.Revoke(context.Background(), list[from:min(to, len(list))]...); err != nil {
							b.Errorf("Revoke: %v", err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acknowledged/s")
			reportFsync(b)
		})
	}
}

// BenchmarkSnapshot brings b.N records into an empty node, as many in a message as
// the name says, while decisions are asked for.
func BenchmarkSnapshot(b *testing.B) {
	for _, together := range []int{1, 64, cluster.MaxBatch} {
		b.Run(fmt.Sprint(together), func(b *testing.B) {
			c := Config{URLs: []string{newProcesses(b, 1)[0].url()}}
			fill(b, c, b.N, together)
			n := newNode(b, c)
			checks := checking(n)
			b.ResetTimer()
			before := cpu(b)
			for s := n.State(); !s.Level || !s.Word; s = n.State() {
				time.Sleep(time.Millisecond)
			}
			b.StopTimer()
			b.ReportMetric((cpu(b)-before).Seconds()*1e6/float64(b.N), "cpu-s/million")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			report(b, checks(), "check")
			var memory runtime.MemStats // the mapped file, which the system may take back, is apart
			runtime.ReadMemStats(&memory)
			b.ReportMetric(float64(memory.Sys)/(1<<20), "peak-MiB")
			reportFsync(b)
			for i := range b.N {
				if !n.knows(record(i)) {
					b.Fatalf("a node that is level does not know record %d", i)
				}
			}
		})
	}
}

// fill publishes records, so many in a message.
func fill(b *testing.B, c Config, count, together int) {
	b.Helper()
	e, err := Open(c)
	check(b, err)
	eventually(b, "there is a stream", func() bool {
		s, err := e.link.await(context.Background(), time.Second)
		if err == nil {
			_, err = e.stream(context.Background(), s.js)
		}
		return err == nil
	})
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for {
				to := int(next.Add(int64(together)))
				from := to - together
				if from >= count {
					return
				}
				if err := e.Apply(context.Background(), records(from, min(to, count))); err != nil {
					b.Errorf("Apply: %v", err)
				}
			}
		})
	}
	wg.Wait()
	check(b, e.Close())
}

// BenchmarkRepair has a node with b.N records join a cluster whose engine has none, and
// measures until the engine has all and a cursor stands behind them.
func BenchmarkRepair(b *testing.B) {
	server := newProcesses(b, 1)[0]
	list := newList(b)
	for from := 0; from < b.N; from += 50_000 {
		check(b, list.Revoke(b.Context(), records(from, min(from+50_000, b.N))...))
	}
	b.ResetTimer()
	n := join(b, list, Config{URLs: []string{server.url()}}, cluster.Options{})
	for {
		if cursor, err := list.Cursor(); err == nil && cursor != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	reportFsync(b)
	if s := n.State(); s.Repaired != b.N {
		b.Errorf("%d records were repaired of %d", s.Repaired, b.N)
	}
}

// checking asks for decisions, a thousand a second, and returns in the end how long
// each took.
func checking(n *node) (stop func() []time.Duration) {
	var took []time.Duration
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
			r := record(i) // which may have come, or not
			began := time.Now()
			n.list.Check(&r.Key)
			took = append(took, time.Since(began))
		}
	})
	return func() []time.Duration {
		close(end)
		wg.Wait()
		return took
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
