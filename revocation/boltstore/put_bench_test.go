package boltstore

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// BenchmarkPut measures what callers wait for durable records, and how many share a
// commit: in an empty file, and where what has been appended is moved among a million.
func BenchmarkPut(b *testing.B) {
	many := 1_000_000
	if testing.Short() {
		many = 10_000
	}
	for _, stored := range []int{0, many} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("stored=%d/callers=%d", stored, callers), func(b *testing.B) { benchmarkPut(b, stored, callers) })
		}
	}
}

func benchmarkPut(b *testing.B, stored, callers int) {
	s := mustOpen(b, newPath(b))
	if stored > 0 {
		list := records(stored)
		slices.SortFunc(list, func(a, b revocation.Record) int { return a.Key.Compare(b.Key) })
		for chunk := range slices.Chunk(list, 50_000) {
			mustPut(b, s, chunk...)
		}
		for !s.recent.isMoving() {
			mustPut(b, s, random(1000)...)
		}
	}
	before := commits(b, s)
	var left atomic.Int64
	left.Store(int64(b.N))
	took, beside := make([][]time.Duration, callers), make([][]time.Duration, callers)
	var wg sync.WaitGroup
	b.ResetTimer()
	for caller := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				r := random(1)
				moving := s.recent.isMoving()
				start := time.Now()
				if err := tryPut(s, r...); err != nil {
					b.Error(err)
				}
				if moving {
					beside[caller] = append(beside[caller], time.Since(start))
				} else {
					took[caller] = append(took[caller], time.Since(start))
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	after := commits(b, s)
	b.ReportMetric(float64(b.N)/float64(max(1, after-before)), "records/commit") // also those that move
	percentiles(b, slices.Concat(took...), "")
	percentiles(b, slices.Concat(beside...), "-moving")
}

func percentiles(b *testing.B, took []time.Duration, unit string) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(took[len(took)*p/100].Seconds()*1000, fmt.Sprintf("p%d-ms%s", p, unit))
	}
}

// random are records that are anywhere among others.
func random(n int) []revocation.Record {
	list := records(n)
	for i := range list {
		_, _ = rand.Read(list[i].Key.Digest[:])
	}
	return list
}
