package revocation

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testKey(i uint64) Key {
	return Key{Kind: KindToken, Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))}
}

// cheapKey stands in for testKey where millions are needed: the index hashes
// keys anyway.
func cheapKey(i uint64) (k Key) {
	k.Kind = KindToken
	binary.BigEndian.PutUint64(k.Digest[:], i*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(k.Digest[8:], i)
	return k
}

func BenchmarkIndex(b *testing.B) {
	// Keys that lie ready: one that was written just before it is read would
	// make the processor wait, and so measure the benchmark.
	absent := make([]Key, 1<<20)
	for i := range absent {
		absent[i] = cheapKey(1<<40 + uint64(i))
	}
	for _, n := range []uint64{10_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			x := filledIndex(n)
			records, bytes := x.size()
			lookup := func(i int) {
				if x.has(&absent[i&(len(absent)-1)]) {
					b.Log("a false positive")
				}
			}
			alone := func(b *testing.B) {
				b.ReportAllocs()
				for i := range b.N {
					lookup(i)
				}
			}
			parallel := func(b *testing.B) {
				b.SetParallelism((8 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				var start atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for i := int(start.Add(100_000)); pb.Next(); i++ {
						lookup(i)
					}
				})
			}
			withWriter := func(lookups func(*testing.B)) func(*testing.B) {
				return func(b *testing.B) {
					stop := make(chan struct{})
					var wg sync.WaitGroup
					wg.Go(func() {
						// 100,000 a second, five times what the store makes durable.
						tick := time.NewTicker(time.Millisecond)
						defer tick.Stop()
						for i := uint64(0); ; {
							select {
							case <-stop:
								return
							case <-tick.C:
							}
							for range 100 {
								key := cheapKey(i % n)
								x.add(&key, t0.Add(time.Duration(i%100)*time.Hour))
								i++
							}
						}
					})
					lookups(b)
					close(stop)
					wg.Wait()
				}
			}
			b.Run("readers=1", func(b *testing.B) {
				alone(b)
				b.ReportMetric(float64(bytes)/float64(records), "B/record")
			})
			b.Run("readers=1+writer", withWriter(alone))
			b.Run("readers=8", parallel)
			b.Run("readers=8+writer", withWriter(parallel))
		})
	}
}

func filledIndex(n uint64) *index {
	x := newIndex(t0)
	for i := range n {
		key := cheapKey(i)
		x.add(&key, t0.Add(time.Duration(i%1000+1)*time.Minute))
	}
	return x
}

func BenchmarkIndexAdd(b *testing.B) {
	for b.Loop() {
		filledIndex(1_000_000)
	}
}
