package memorystore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Open {
		m := New()
		return func() (revocation.Store, error) { return m.Open() }
	})
}

// Two stores cannot be in one memory.
func TestOneStore(t *testing.T) {
	m := New()
	s, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(); !errors.Is(err, revocation.ErrLocked) {
		t.Errorf("a second Open: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func record(i int) revocation.Record {
	return revocation.Record{
		Key: revocation.Key{
			Kind:   revocation.KindToken,
			Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))),
		},
		Revoked: time.UnixMilli(1_700_000_000_000).UTC(),
		Expires: time.Unix(4_000_000_000, 0).UTC(),
		By:      "backend",
	}
}

// A denylist with a store in memory promises nothing by itself: what is revoked is
// enforced, and answered with an error, also after a cluster was left.
func TestNothingPromised(t *testing.T) {
	s, err := New().Open()
	if err != nil {
		t.Fatal(err)
	}
	d, err := revocation.Open(t.Context(), s, revocation.Options{CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	refuses := func(i int, want revocation.Outcome) {
		t.Helper()
		r := record(i)
		if got := d.Check(&r.Key).Outcome; got != want {
			t.Errorf("record %d: %v, want %v", i, got, want)
		}
	}
	if err := d.Revoke(t.Context(), record(1)); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("Revoke without a cluster = %v", err)
	}
	refuses(1, revocation.Revoked)
	leave := d.Join(func(ctx context.Context, records []revocation.Record) error { return d.Receive(ctx, records, nil) })
	if err := d.Revoke(t.Context(), record(2)); err != nil {
		t.Errorf("Revoke in a cluster = %v", err)
	}
	refuses(2, revocation.Revoked)
	leave()
	if _, err := d.Restore(t.Context(), record(2).Key, revocation.Decision{By: "alice"}); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("Restore after a cluster = %v", err)
	}
	refuses(2, revocation.Revoked)
	if err := d.Revoke(t.Context(), record(3)); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("Revoke after a cluster = %v", err)
	}
	refuses(3, revocation.Revoked)
}

// BenchmarkMemory tells what a record takes.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s, err := New().Open()
		if err != nil {
			b.Fatal(err)
		}
		for i := 0; i < n; i += 100 {
			list := make([]revocation.Record, 100)
			for j := range list {
				list[j] = record(i + j)
			}
			if err := s.Put(b.Context(), revocation.Batch{Records: list}); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/record")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		_ = s.Close()
	}
}
