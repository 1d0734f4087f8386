package revocation_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
)

// loadDirectory names a directory in which BenchmarkLoad keeps the file of 10
// million records, which takes minutes to build and 2 GB of room.
const loadDirectory = "REVOCATION_LOAD_DIR"

// BenchmarkLoad measures a start: from a closed file to a denylist that checks.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "denylist.db")
			if n > 1_000_000 {
				dir := os.Getenv(loadDirectory)
				if dir == "" {
					b.Skipf("set %s", loadDirectory)
				}
				path = filepath.Join(dir, fmt.Sprintf("denylist-%d.db", n))
			}
			buildFile(b, path, n)
			b.Run("warm", func(b *testing.B) {
				openAndClose(b, path, n)
				opening := time.Duration(0)
				for b.Loop() {
					opening += openAndClose(b, path, n)
				}
				b.ReportMetric(opening.Seconds()/float64(b.N), "s/boltstore.Open")
			})
			b.Run("cold", func(b *testing.B) {
				opening := time.Duration(0)
				for b.Loop() {
					b.StopTimer()
					evict(b, path)
					b.StartTimer()
					opening += openAndClose(b, path, n)
				}
				b.ReportMetric(opening.Seconds()/float64(b.N), "s/boltstore.Open")
			})
		})
	}
}

// openAndClose opens a denylist, and says how much of the time went into the file.
func openAndClose(b *testing.B, path string, want int) (opening time.Duration) {
	start := time.Now()
	store, err := boltstore.Open(b.Context(), path, 0)
	if err != nil {
		b.Fatal(err)
	}
	opening = time.Since(start)
	d, err := revocation.Open(b.Context(), store, revocation.Options{CacheBytes: 32 << 20})
	if err != nil {
		b.Fatal(err)
	}
	if got := d.Stats().Total(); got < want-5 { // two keys can share a fingerprint
		b.Fatalf("%d of %d records", got, want)
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
	return opening
}

// buildFile fills a file as life does: with random keys in batches, so that its
// pages are as full and as scattered as those of a file that grew.
func buildFile(b *testing.B, path string, n int) {
	if _, err := os.Stat(path); err == nil {
		return
	}
	b.StopTimer()
	defer b.StartTimer()
	unfinished := path + ".unfinished"
	_ = os.Remove(unfinished)
	store, err := boltstore.Open(b.Context(), unfinished, 0)
	if err != nil {
		b.Fatal(err)
	}
	expires := time.Now().Add(24 * time.Hour)
	random := rand.NewChaCha8([32]byte{1})
	records := make([]revocation.Record, 0, 50_000)
	for i := range n {
		r := revocation.Record{Key: revocation.Key{Kind: revocation.KindToken}, Revoked: time.Now(), Expires: expires, By: "client"}
		_, _ = random.Read(r.Key.Digest[:])
		binary.BigEndian.PutUint32(r.Key.Digest[28:], uint32(i))
		if records = append(records, r); len(records) < cap(records) && i < n-1 {
			continue
		}
		if err := store.Put(context.Background(), revocation.Batch{Records: records}); err != nil {
			b.Fatal(err)
		}
		records = records[:0]
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		b.Fatal(err)
	}
}
