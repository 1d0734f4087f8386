package revocation

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An index does what a map would do that rounds ends up to minutes.
func TestIndexIsASet(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 0))
		now := t0
		x, model := newIndex(now), make(map[uint64]time.Time)
		for range 100 {
			for range random.IntN(200) {
				i := random.Uint64N(5_000)
				key, end := testKey(i), now.Add(time.Duration(random.IntN(60))*time.Minute)
				x.add(&key, end)
				if old := model[i]; old.Before(end) {
					model[i] = end
				}
			}
			now = now.Add(time.Duration(random.IntN(150)) * time.Second)
			swept := 0
			for i, end := range model {
				if end.Truncate(time.Minute).Add(2*time.Minute).Compare(now.Truncate(time.Minute)) <= 0 {
					delete(model, i)
					swept++
				}
			}
			if n := x.sweep(now); n != swept {
				t.Fatalf("seed %d: sweep = %d, want %d", seed, n, swept)
			}
		}
		if n, _ := x.size(); n != len(model) {
			t.Errorf("seed %d: size = %d, want %d", seed, n, len(model))
		}
		for i := range uint64(5_000) {
			key := testKey(i)
			if _, want := model[i]; x.has(&key) != want {
				t.Fatalf("seed %d: has(%d) = %t", seed, i, !want)
			}
		}
	}
}

// Readers find what was added, whatever happens to the tables meanwhile.
func TestIndexNeverForgetsBesideWriters(t *testing.T) {
	const lasting = 8_000
	x := newIndex(t0)
	var added atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := uint64(0); i < lasting; i++ {
				for n := added.Load(); n <= i; n = added.Load() {
					i = 0 // from the start again, until it is there
				}
				key := testKey(i)
				if !x.has(&key) {
					t.Errorf("key %d is missing", i)
				}
			}
		})
	}
	now := t0
	for i := range uint64(lasting) {
		key := testKey(i)
		x.add(&key, MaxExpires)
		added.Store(i + 1)
		for j := range uint64(4) { // and four that come and go
			passing := testKey(1<<32 + i*4 + j)
			x.add(&passing, now.Add(time.Minute))
		}
		if i%1000 == 999 {
			now = now.Add(4 * time.Minute)
			if n := x.sweep(now); n != 4000 {
				t.Errorf("sweep = %d, want 4000", n)
			}
		}
	}
	wg.Wait()
	if n, _ := x.size(); n != lasting {
		t.Errorf("size = %d, want %d", n, lasting)
	}
}

func TestIndexKeepsTheLaterEnd(t *testing.T) {
	early, late := t0.Add(10*time.Minute), t0.Add(20*time.Minute)
	key := testKey(1)
	for _, ends := range [][]time.Time{{early, late}, {late, early}, {early, late, early}} {
		x := newIndex(t0)
		for _, end := range ends {
			x.add(&key, end)
		}
		if n := x.sweep(late); n != 0 || !x.has(&key) {
			t.Errorf("added with %v: it ended with the earlier one", ends)
		}
		if n := x.sweep(late.Add(2 * time.Minute)); n != 1 || x.has(&key) {
			t.Errorf("added with %v: it did not end", ends)
		}
	}
}

// A key goes at the earliest when it has ended, and at the latest two minutes
// after that.
func TestIndexSweepsByTheMinute(t *testing.T) {
	x := newIndex(t0)
	for end := range 180 {
		key := testKey(uint64(end))
		x.add(&key, t0.Add(time.Duration(end)*time.Second))
	}
	for now := range 360 {
		x.sweep(t0.Add(time.Duration(now) * time.Second))
		for end := range 180 {
			key := testKey(uint64(end))
			if now <= end && !x.has(&key) {
				t.Errorf("what ends after %d seconds was gone after %d", end, now)
			}
			if now >= end+120 && x.has(&key) {
				t.Errorf("what ends after %d seconds was there after %d", end, now)
			}
		}
	}
}

func TestIndexAtTheEndsOfTime(t *testing.T) {
	x := newIndex(t0)
	past, distant := testKey(1), testKey(2)
	x.add(&past, time.Unix(0, 0))
	x.add(&distant, t0.AddDate(32, 0, 0)) // beyond what a word can say
	if x.sweep(t0) != 0 || !x.has(&past) {
		t.Error("it swept before the first minute was over")
	}
	if x.sweep(time.Unix(0, 0)) != 0 {
		t.Error("it swept while the clock was behind")
	}
	if n := x.sweep(MaxExpires.AddDate(100, 0, 0)); n != 1 || x.has(&past) || !x.has(&distant) {
		t.Error("the end of time does not outlast all")
	}
}

// An index of more than 100,000 records takes at most 16 bytes for each, as any
// of its segments does with its share, up to that of 10 million.
func TestIndexSize(t *testing.T) {
	const least, most = 300, 40_000 // records in a segment
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]uint64, most)
	for i := range words {
		words[i] = max(random.Uint64()>>(64-tagBits), 1)<<minuteBits | 1
	}
	check := func(how string, s *segment, n int) {
		t.Helper()
		if bytes := len(s.table.Load().lines) * lineWords * 8; s.live != n || bytes > 16*n {
			t.Errorf("%s: %d records of %d in %d bytes, %.1f each", how, s.live, n, bytes, float64(bytes)/float64(n))
		}
	}
	var grown segment
	for i, w := range words {
		if grown.enter(w>>minuteBits, 1); i >= least {
			check("grown", &grown, i+1)
		}
	}
	for n := least; n <= most; n += 1_999 {
		var loaded segment
		loaded.fill([][]uint64{words[:n]})
		check("loaded", &loaded, n)
	}
	x := newIndex(t0)
	for i := range 100_000 {
		key := cheapKey(uint64(i))
		x.add(&key, t0.Add(time.Hour))
	}
	if n, bytes := x.size(); n != 100_000 || bytes > 16*n {
		t.Errorf("%d records in %d bytes", n, bytes)
	}
}

func TestIndexShrinks(t *testing.T) {
	const n = 50_000
	x := newIndex(t0)
	for i := range n {
		key := cheapKey(uint64(i))
		x.add(&key, t0.Add(time.Duration(i%10+1)*time.Hour))
	}
	for hour := 1; hour <= 10; hour++ {
		x.sweep(t0.Add(time.Duration(hour)*time.Hour + 2*time.Minute))
		records, bytes := x.size()
		if want := n / 10 * (10 - hour); records != want {
			t.Errorf("after %d hours: %d records, want %d", hour, records, want)
		}
		if bytes > 24*records {
			t.Errorf("after %d hours: %d records take %d bytes", hour, records, bytes)
		}
	}
}

// Bulk leaves an index as one call of add for each record would.
func TestBulk(t *testing.T) {
	const n = 10_000
	x := newIndex(t0)
	for i := range uint64(n / 2) {
		key := testKey(i)
		x.add(&key, t0.Add(time.Duration(i%3)*time.Hour))
	}
	parts := []*bulk{{index: x}, {index: x}, {index: x}}
	for i := range uint64(n) {
		key := testKey(i)
		for p, part := range parts[:2] { // twice, with different ends
			part.add(&key, t0.Add(time.Duration((i+uint64(p))%3)*time.Hour))
		}
	}
	x.fill(parts)
	if got, _ := x.size(); got != n {
		t.Errorf("size = %d, want %d", got, n)
	}
	x.sweep(t0.Add(time.Hour + 2*time.Minute))
	for i := range uint64(n) {
		ends := []uint64{i % 3, (i + 1) % 3} // the first as before, of those that were there
		key := testKey(i)
		if want := slices.Max(ends) == 2; x.has(&key) != want {
			t.Fatalf("has(%d) = %t, with ends after %d hours", i, !want, ends)
		}
	}
}
