package revocation_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func (f *fixture) wantsShare(by string, records int, frees time.Duration) {
	f.t.Helper()
	got := f.Share(by)
	want := time.Time{}
	if records > 0 {
		want = t0.Add(frees).Truncate(time.Minute)
	}
	if got.Records != records || !got.Frees.Equal(want) {
		f.t.Fatalf("Share(%s) = %+v, want %d until %s", by, got, records, want)
	}
}

func recordBy(by string, i int, end time.Duration) revocation.Record {
	r := record(i, end)
	r.By = by
	return r
}

func TestShare(t *testing.T) {
	f := newFixture(t)
	f.wantsShare("a", 0, 0)
	f.revoke(recordBy("a", 1, 10*time.Minute), recordBy("a", 2, 12*time.Minute), recordBy("b", 3, 10*time.Minute))
	f.revoke(recordBy("a", 1, 10*time.Minute), recordBy("b", 2, 12*time.Minute)) // again, and by somebody else
	f.wantsShare("a", 2, 10*time.Minute)
	f.wantsShare("b", 1, 10*time.Minute)
	used := recordBy("a", 4, 10*time.Minute)
	used.Key.Kind = revocation.KindUsed
	if err := f.Use(t.Context(), used, recordBy("a", 5, 15*time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.wantsShare("a", 3, 10*time.Minute)
	f.reopen()
	f.wantsShare("a", 3, 10*time.Minute)
	f.wantsShare("b", 1, 10*time.Minute)
	f.clock.move(10 * time.Minute)
	f.wantsShare("a", 2, 12*time.Minute)
	f.wantsShare("b", 0, 0)
	f.clock.move(time.Hour)
	f.wantsShare("a", 0, 0)
}

// Who makes a record last longer has it for that long, and once.
func TestShareOfWhatLastsLonger(t *testing.T) {
	f := newFixture(t)
	f.revoke(recordBy("a", 1, 10*time.Minute), recordBy("a", 2, 12*time.Minute))
	f.wantsShare("a", 2, 10*time.Minute)
	for range 3 {
		f.revoke(recordBy("a", 1, 40*time.Minute))
		f.wantsShare("a", 2, 12*time.Minute)
	}
	f.revoke(recordBy("b", 1, 50*time.Hour))
	f.wantsShare("a", 2, 12*time.Minute)
	if got := f.Share("b").Records; got != 1 {
		t.Fatalf("b has %d", got)
	}
	f.revoke(recordBy("b", 1, 500*time.Hour)) // its count under a coarse end is found
	if got := f.Share("b").Records; got != 1 {
		t.Fatalf("b has %d", got)
	}
	f.clock.move(12 * time.Minute)
	f.wantsShare("a", 1, 40*time.Minute)
	f.clock.move(28*time.Minute + leeway/2)
	f.wantsShare("a", 0, 0)
	// What has ended for the shares lives on for the leeway, and can be revoked again.
	f.revoke(recordBy("a", 3, time.Hour))
	f.clock.move(20 * time.Minute)
	f.wantsShare("a", 0, 0)
	f.revoke(recordBy("a", 3, 2*time.Hour))
	if got := f.Share("a").Records; got != 1 {
		t.Fatalf("a has %d", got)
	}
	f.reopen()
	// A restart knows only who came first, which of record 1 was a.
	if a, b := f.Share("a").Records, f.Share("b").Records; a != 2 || b != 0 {
		t.Fatalf("a has %d, b %d", a, b)
	}
}

// What is not stored does not count, and what may be stored does, once.
func TestShareOfFailures(t *testing.T) {
	f := newFixture(t)
	fail(&f.store.putError, revocation.ErrNotStored)
	if err := f.Revoke(t.Context(), recordBy("a", 1, time.Minute*10)); !errors.Is(err, revocation.ErrNotStored) {
		t.Fatal(err)
	}
	f.wantsShare("a", 0, 0)
	fail(&f.store.putError, errors.New("unknown"))
	_ = f.Revoke(t.Context(), recordBy("a", 1, time.Minute*10))
	mend(&f.store.putError)
	f.revoke(recordBy("a", 1, time.Minute*10))
	f.wantsShare("a", 1, 10*time.Minute)
}

// More leeway makes records live again that had ended, and nobody is locked out
// for these.
func TestShareAndLeeway(t *testing.T) {
	f := newFixture(t)
	f.revoke(recordBy("a", 1, 5*time.Minute), recordBy("a", 2, 15*time.Minute))
	f.clock.move(10 * time.Minute)
	f.wantsShare("a", 1, 15*time.Minute)
	f.options.Leeway = time.Hour
	if err := f.Tune(f.options); err != nil {
		t.Fatal(err)
	}
	f.wants(revocation.Revoked, key(1), key(2))
	f.wantsShare("a", 1, 15*time.Minute)
	f.reopen()
	f.wantsShare("a", 1, 15*time.Minute)
}

// Whatever ends there are, a count is never above what is live, nor below by
// what has more than a sixteenth of its time left: at any time, also after a
// restart, and whether or not anybody asked in between.
func TestSharePrecision(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	f := newFixture(t)
	type life struct{ stored, end time.Time }
	var lives []life
	for i := range 2000 {
		now := f.clock.now()
		end := now.Add(time.Duration(random.Int64N(1 << random.IntN(55)))) // up to half a year
		lives = append(lives, life{now, end})
		f.revoke(revocation.Record{Key: key(i), Revoked: now, Expires: end, By: "a"})
		if i%100 == 0 {
			f.clock.move(time.Duration(random.Int64N(int64(10 * time.Hour))))
		}
	}
	restarted := t0
	check := func() {
		t.Helper()
		now := f.clock.now()
		most, least := 0, 0
		for _, l := range lives {
			if l.end.After(now) {
				most++
			}
			// A restart counts from then on what is left.
			from := l.stored
			if restarted.After(from) {
				from = restarted
			}
			if l.end.Add(-l.end.Sub(from) / 16).Add(-2 * time.Minute).After(now) {
				least++
			}
		}
		if got := f.Share("a").Records; got > most || got < least {
			t.Fatalf("%s: %d, want %d to %d", now, got, least, most)
		}
	}
	check()
	for step := time.Minute; step < 5000*time.Hour; step *= 2 {
		if step == time.Minute<<5 {
			restarted = f.clock.now()
			f.reopen()
		}
		f.clock.move(step)
		if step == time.Minute<<7 {
			f.SweepIndex()
		}
		check()
	}
	if got := f.Share("a"); got != (revocation.Share{}) {
		t.Errorf("at last: %+v", got)
	}
}

// Memory is bounded by the number of clients, and small for each.
func TestSharesAreBounded(t *testing.T) {
	f := newFixture(t)
	for i := range 1000 {
		var batch []revocation.Record
		for j := range 20 {
			n := 20*i + j
			batch = append(batch, recordBy(fmt.Sprint(n), n, time.Hour))
		}
		f.revoke(batch...)
	}
	if clients, _ := f.ShareSizes(); clients != revocation.MaxShares {
		t.Errorf("%d clients are counted", clients)
	}
	f.reopen()
	if clients, _ := f.ShareSizes(); clients != revocation.MaxShares {
		t.Errorf("%d clients are counted", clients)
	}
	f.clock.move(2 * time.Hour)
	f.SweepIndex()
	if clients, _ := f.ShareSizes(); clients != 0 {
		t.Errorf("%d clients are counted when all has ended", clients)
	}
	// As many ends as there can be, each stored at a time of its own.
	for i := range 4_000 {
		f.clock.move(35 * time.Second)
		now := f.clock.now()
		f.revoke(revocation.Record{Key: key(100_000 + i), Revoked: now, Expires: now.Add(time.Duration(1+i) * 8000 * time.Hour / 4_000), By: "a"})
	}
	if _, ends := f.ShareSizes(); ends > 500 {
		t.Errorf("%d counts for one client", ends)
	}
}
