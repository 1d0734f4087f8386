package cluster

import (
	"testing"
	"time"
)

// A node that was suspended has been without word, though its monotonic clock stood
// still; one whose clock is set is so until the next heartbeat at most.
func TestSuspended(t *testing.T) {
	at := moment{monotonic: time.Hour, wall: time.Hour}
	n := &Node{clock: func() moment { return at }, options: Options{Tell: func(Event) {}}}
	if n.Fresh(1 << 62) {
		t.Error("fresh without word")
	}
	step := func(monotonic, wall time.Duration) {
		at.monotonic, at.wall = at.monotonic+monotonic, at.wall+wall
	}
	wants := func(staleness time.Duration) {
		t.Helper()
		if s := n.State(); !s.Word || s.Staleness != staleness || !n.Fresh(staleness) || n.Fresh(staleness-1) {
			t.Errorf("stale by %s; want %s", s.Staleness, staleness)
		}
	}
	n.engine = content{}
	n.heard(at)
	wants(0)
	step(3*time.Second, 3*time.Second)
	wants(3 * time.Second)
	step(0, time.Minute)
	wants(time.Minute + 3*time.Second)
	n.heard(at)
	wants(0)
	step(2*time.Second, -time.Hour) // and never fresher than by the other
	wants(2 * time.Second)
	n.heard(moment{}) // of before
	wants(2 * time.Second)
}

func TestClock(t *testing.T) {
	now := time.Now()
	clock := clockOf(func() time.Time { return now })
	now = now.Add(time.Second)
	if m := clock(); m != (moment{time.Second, time.Second}) {
		t.Errorf("after a second it is %+v", m)
	}
	real := clockOf(nil)
	first := real()
	if second := real(); second.monotonic <= 0 || second.since(first) < 0 || second.since(first) > time.Minute {
		t.Errorf("it is %+v, and then %+v", first, second)
	}
}

// content is an engine without warnings.
type content struct{ Engine }

func (content) Warnings() []string { return nil }

func BenchmarkFresh(b *testing.B) {
	n := &Node{clock: clockOf(nil), options: Options{Tell: func(Event) {}}}
	n.heard(n.clock())
	for b.Loop() {
		if !n.Fresh(time.Hour) {
			b.Fatal("stale")
		}
	}
}
