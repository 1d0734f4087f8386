package revocation_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
)

// BenchmarkRevoke measures durable revocations, beside what the disk needs to
// make anything durable: without that, the number means nothing.
func BenchmarkRevoke(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			dir := b.TempDir()
			store, err := boltstore.Open(b.Context(), filepath.Join(dir, "denylist.db"), 0)
			if err != nil {
				b.Fatal(err)
			}
			d, err := revocation.Open(b.Context(), store, revocation.Options{CacheBytes: 32 << 20})
			if err != nil {
				b.Fatal(err)
			}
			expires := time.Now().Add(time.Hour)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						r := revocation.Record{Key: revocation.Key{Kind: revocation.KindToken}, Revoked: time.Now(), Expires: expires, By: "client"}
						_, _ = rand.Read(r.Key.Digest[:])
						if err := d.Revoke(b.Context(), r); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "revocations/s")
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(fsync(b, dir).Seconds()*1000, "fsync-ms")
		})
	}
}

// fsync is how long it takes to make one page durable.
func fsync(b *testing.B, dir string) time.Duration {
	const rounds = 200
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4<<10)
	start := time.Now()
	for range rounds {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / rounds
}
