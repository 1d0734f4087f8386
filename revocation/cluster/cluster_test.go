package cluster

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

func record(i int) revocation.Record {
	k := revocation.Key{Kind: revocation.KindToken}
	k.Digest[0], k.Digest[1], k.Digest[2] = byte(i>>16), byte(i>>8), byte(i)
	return revocation.Record{
		Key: k, Revoked: time.UnixMilli(1_700_000_000_000).UTC(), Expires: time.Unix(4_000_000_000, 0).UTC(), By: "client",
	}
}

func records(from, to int) (list []revocation.Record) {
	for i := from; i < to; i++ {
		list = append(list, record(i))
	}
	return list
}

func TestWire(t *testing.T) {
	full := record(3)
	full.Effect, full.Version, full.Operator = revocation.Restored, 1<<40, true
	full.Reason, full.Issuer, full.Value = strings.Repeat("r", revocation.MaxText), "i", ""
	for _, list := range [][]revocation.Record{nil, records(0, 1), records(0, MaxBatch), {full, record(1), full}} {
		got, err := ParseRecords(AppendRecords([]byte{}, list))
		if err != nil || !slices.Equal(got, list) {
			t.Errorf("%d records came back as %d, %v", len(list), len(got), err)
		}
	}
}

// What is not whole is nothing, wherever it was cut; what was cut between two
// records cannot be told, but for that engines keep their messages whole.
func TestWireCut(t *testing.T) {
	whole := AppendRecords(nil, records(0, 3))
	between := 0
	for n := range whole {
		got, err := ParseRecords(whole[:n])
		switch {
		case err == nil:
			if between++; !slices.Equal(got, records(0, len(got))) {
				t.Errorf("cut at %d there is something else", n)
			}
		case !errors.Is(err, ErrForeign), got != nil:
			t.Errorf("cut at %d: %d records, %v", n, len(got), err)
		}
	}
	if between != 3 {
		t.Errorf("%d cuts were taken for the whole; want those between records", between)
	}
	for _, b := range [][]byte{{}, {0}, {2}, append(slices.Clone(whole), 1), append([]byte{2}, whole[1:]...)} {
		if _, err := ParseRecords(b); !errors.Is(err, ErrForeign) {
			t.Errorf("ParseRecords(%.10x…) = %v; want ErrForeign", b, err)
		}
	}
}

func FuzzParseRecords(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendRecords(nil, records(0, 2)))
	long := record(1)
	long.Reason = strings.Repeat("x", 300)
	f.Add(AppendRecords(nil, []revocation.Record{long}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ParseRecords(b)
		if err != nil {
			if !errors.Is(err, ErrForeign) || list != nil {
				t.Fatalf("%d records and %v", len(list), err)
			}
			return
		}
		again, err := ParseRecords(AppendRecords(nil, list))
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("%+v came back as %+v, %v", list, again, err)
		}
	})
}

func TestSeen(t *testing.T) {
	s := newSeen()
	s.add(records(0, 1000))
	s.add(nil)
	if lacks := s.lacks(records(0, 1000)); len(lacks) > 0 {
		t.Errorf("%d records are lacking that were added", len(lacks))
	}
	// Whatever else a record says makes it another.
	for name, change := range map[string]func(*revocation.Record){
		"key":     func(r *revocation.Record) { r.Key.Digest[31] = 1 },
		"kind":    func(r *revocation.Record) { r.Key.Kind++ },
		"end":     func(r *revocation.Record) { r.Expires = r.Expires.Add(time.Second) },
		"version": func(r *revocation.Record) { r.Version++ },
		"effect":  func(r *revocation.Record) { r.Effect = revocation.Restored },
		"client":  func(r *revocation.Record) { r.By = "other" },
	} {
		r := record(5)
		change(&r)
		if lacks := s.lacks([]revocation.Record{record(5), r}); len(lacks) != 1 || lacks[0] != r {
			t.Errorf("with another %s, %d records are lacking", name, len(lacks))
		}
	}
	other := newSeen()
	if r := record(1); other.hash(&r) == s.hash(&r) {
		t.Error("two sets hash the same")
	}
}

func TestSeenAwait(t *testing.T) {
	s := newSeen()
	list := records(0, 2)
	s.add(list[:1])
	s.await(t.Context(), &list[0])
	came := make(chan struct{})
	go func() {
		defer close(came)
		s.await(t.Context(), &list[1])
	}()
	s.add(records(2, 3))
	select {
	case <-came:
		t.Error("it has come before it was there")
	case <-time.After(20 * time.Millisecond):
	}
	s.add(list[1:])
	<-came
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	other := record(7)
	s.await(ended, &other)
}

// What is held comes out once, whole, and ordered so that little comes together.
func TestHold(t *testing.T) {
	var h hold
	const count = 200_000 // more than one commit
	long := record(1)
	long.Key.Kind, long.Reason = revocation.KindUsed, strings.Repeat("r", revocation.MaxText)
	want := map[revocation.Record]bool{long: true}
	h.add([]revocation.Record{long})
	for i := range count {
		r := record(i)
		r.Key.Digest[0], r.Key.Digest[3] = byte(i), byte(i>>16)
		want[r] = true
		h.add([]revocation.Record{r})
	}
	if h.full() || h.bytes < count*revocation.KeySize {
		t.Fatalf("%d bytes are held of %d records", h.bytes, count)
	}
	calls, last := 0, byte(0)
	err := h.empty(func(list []revocation.Record) error {
		calls++
		for _, r := range list {
			if !want[r] || r.Key.Digest[0] < last {
				t.Fatalf("%+v comes, after one that begins with %d", r, last)
			}
			delete(want, r)
			last = r.Key.Digest[0]
		}
		return nil
	})
	if err != nil || len(want) > 0 || calls < 2 || h.bytes != 0 {
		t.Errorf("%v; %d records are missing after %d calls, %d bytes are held", err, len(want), calls, h.bytes)
	}
	if err := h.empty(func([]revocation.Record) error { return errEnough }); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	h.add(records(0, 10))
	if err := h.empty(func([]revocation.Record) error { return errEnough }); err != errEnough {
		t.Errorf("%v; want the error of who stores", err)
	}
}

func TestOwed(t *testing.T) {
	const room = 30
	o := owed{room: room}
	o.add(records(0, 10))
	o.add(records(10, 20))
	if o.count() != 20 || o.forgotten() {
		t.Fatalf("%d are owed, forgotten: %t", o.count(), o.forgotten())
	}
	if list := o.first(); !slices.Equal(list, records(0, 20)) || o.count() != 20 || !o.any() {
		t.Fatalf("%d of %d are owed", len(list), o.count())
	}
	o.add(records(20, 21))
	o.paid(20)
	if list := o.first(); !slices.Equal(list, records(20, 21)) {
		t.Fatalf("after 20 of 21 were paid, %d are owed", len(list))
	}
	if o.paid(1); o.any() || o.count() != 0 {
		t.Fatal("what was paid is owed")
	}
	o.add(make([]revocation.Record, room))
	if o.forgotten() {
		t.Error("what there is room for was forgotten")
	}
	o.add(records(0, 1))
	if o.count() != room || !o.forgotten() {
		t.Errorf("%d are owed, forgotten: %t", o.count(), o.forgotten())
	}
	if !o.recall() || o.forgotten() || o.recall() {
		t.Error("what was forgotten is recalled once")
	}
	o.forget()
	if !o.forgotten() {
		t.Error("a repair that failed is forgotten")
	}
}

// What somebody failed to restore is not restored later: nothing is sent that was given
// up while it waited.
func TestGatherGone(t *testing.T) {
	n := &Node{queue: make(chan *publication, 3)}
	var list []*publication
	for i := range 4 {
		list = append(list, &publication{records: records(i, i+1)})
	}
	list[0].gone.Store(true)
	list[2].gone.Store(true)
	for _, p := range list[1:] {
		n.queue <- p
	}
	if batch := n.gather(list[0]); !slices.Equal(batch, []*publication{list[1], list[3]}) {
		t.Errorf("%d of 2 publications are sent", len(batch))
	}
}

// Where all was given up, nothing is sent, and nothing waited for.
func TestPublishNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &publication{records: records(0, 1)}
		gone.gone.Store(true)
		n, began := &Node{}, time.Now()
		n.publishBatch(t.Context(), n.gather(gone))
		n.workers.Wait()
		if waited := time.Since(began); waited > 0 {
			t.Errorf("it took %s", waited)
		}
	})
}

func TestJitter(t *testing.T) {
	for range 1000 {
		d := time.Duration(1 + rand.Int64N(int64(time.Minute)))
		if j := jitter(d); j < d/2 || j > d {
			t.Fatalf("of %s comes %s", d, j)
		}
	}
}

// No encoded record is the beginning of another, so that no two lists of records
// have the same bytes.
func TestWireUnambiguous(t *testing.T) {
	a, b := record(1), record(1)
	a.By, a.Reason = "ab", "c"
	b.By, b.Reason = "a", "bc"
	if bytes.Equal(AppendRecords(nil, []revocation.Record{a}), AppendRecords(nil, []revocation.Record{b})) {
		t.Error("two records have the same bytes")
	}
}

// The pieces are all keys of all kinds, each once.
func TestPieces(t *testing.T) {
	list := pieces()
	slices.SortFunc(list, func(a, b piece) int { return a.from.Compare(b.from) })
	kinds := revocation.Kinds()
	if list[0].from != (revocation.Key{Kind: kinds[0]}) || list[len(list)-1].end != (revocation.Key{Kind: kinds[len(kinds)-1] + 1}) {
		t.Errorf("the pieces go from %v to %v", list[0].from, list[len(list)-1].end)
	}
	for i, p := range list {
		if p.from.Compare(p.end) >= 0 || i > 0 && p.from != list[i-1].end {
			t.Errorf("piece %d goes from %v to %v", i, p.from, p.end)
		}
	}
}

// However an engine puts it, the reasons are few.
func TestReasons(t *testing.T) {
	for why, want := range map[string]string{
		ReasonNoCursor: "no_cursor", ReasonUnreadable: "unreadable", ReasonOther: "other_feed", ReasonOlder: "older",
		ReasonTrimmed: "trimmed", ReasonDiffers: "differs", "": "unknown", "the moon is full": "unknown",
	} {
		if got := reasonOf(why); got != want || !slices.Contains(Reasons(), got) {
			t.Errorf("%q is %q, want %q", why, got, want)
		}
	}
}
