package clustertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// acknowledged asserts that what Apply has returned nil for comes to everyone who
// follows, and to everyone who begins to.
func acknowledged(f *fixture) {
	writer := f.open()
	var followers []*syncing
	for range 4 {
		s := f.follow(f.open(), nil)
		s.mustReachEnd()
		followers = append(followers, s)
	}
	for i := range 50 {
		f.apply(writer, record(i))
	}
	f.apply(writer, records(50, 3000)...)
	for _, s := range append(followers, f.follow(f.open(), nil), f.follow(writer, nil)) {
		s.wants(records(0, 3000)...)
	}
}

// asTheyAre sends what is large, and what is rare.
func asTheyAre(f *fixture) {
	long := func(c string) string { return strings.Repeat(c, revocation.MaxText) }
	var list []revocation.Record
	for i := range cluster.MaxBatch { // too large together for what engines carry at once
		r := record(i)
		r.By, r.Reason, r.Issuer, r.Value = long("a"), long("\xff"), long("c"), long("ü")[:revocation.MaxText]
		list = append(list, r)
	}
	for i, kind := range revocation.Kinds() {
		r := record(5000 + i)
		r.Key.Kind = kind
		if kind.Rule() {
			r.Issuer, r.Value = "https://issuer.example", fmt.Sprint(i)
			r.Key = revocation.RuleKey(kind, r.Issuer, r.Value)
		}
		if kind.IssuedBefore() {
			r.IssuedBefore = began
		}
		list = append(list, r)
	}
	restored := record(6000)
	restored.Effect, restored.Version, restored.Operator = revocation.Restored, 1<<63, true
	trial := record(6001)
	trial.Effect, trial.Expires = revocation.Count, revocation.MaxExpires
	list = append(list, restored, trial)

	s := f.follow(f.open(), nil)
	f.apply(f.open(), list...)
	s.mustReachEnd()
	fresh := f.follow(f.open(), nil)
	fresh.mustReachEnd()
	for _, state := range []known{s.state(), fresh.state()} {
		for _, want := range list {
			if got := state[want.Key]; got != want {
				f.Fatalf("%s came as another: %t %t", want.Key, got.Expires.Equal(want.Expires), got.By == want.By)
			}
		}
	}
}

// variants are contradicting records of few keys.
func variants(n int) (list []revocation.Record) {
	for range n {
		r := record(rand.IntN(20))
		r.Expires = r.Expires.Add(time.Duration(rand.IntN(100)) * time.Second)
		r.Revoked = r.Revoked.Add(time.Duration(rand.IntN(100)) * time.Millisecond)
		r.By = fmt.Sprint("client ", rand.IntN(3))
		r.Version = uint64(rand.IntN(3))
		r.Effect = []revocation.Effect{revocation.Refuse, revocation.Count, revocation.Restored}[rand.IntN(3)]
		list = append(list, r)
	}
	return list
}

// oneState asserts that all end up knowing the same, however records come.
func oneState(f *fixture) {
	engines := []cluster.Engine{f.open(), f.open(), f.open()}
	early := f.follow(f.open(), nil)
	list := variants(600)
	want := make(known)
	want.add(list...)
	var wg sync.WaitGroup
	for _, engine := range engines { // each sends all, in its own order and parts
		for range 2 {
			wg.Go(func() {
				for rest := shuffled(list); len(rest) > 0; {
					n := min(1+rand.IntN(30), len(rest))
					if err := engine.Apply(f.Context(), rest[:n]); err != nil {
						f.Errorf("Apply: %v", err)
						return
					}
					rest = rest[n:]
				}
			})
		}
	}
	wg.Wait()
	late := f.follow(f.open(), nil)
	for name, s := range map[string]*syncing{"feed": early, "snapshot": late} {
		s.mustReachEnd()
		state := s.state()
		for key, r := range want {
			if state[key] != r {
				f.Errorf("in the %s, %s is %+v; want %+v", name, key, state[key], r)
			}
		}
		if len(state) != len(want) {
			f.Errorf("in the %s are %d keys; want %d", name, len(state), len(want))
		}
	}
}

// neverLess sends the greater record first, and then, much later, lesser ones.
func neverLess(f *fixture) {
	engine, other := f.open(), f.open()
	longer, shorter := record(1), record(1)
	longer.Expires = longer.Expires.Add(time.Hour)
	newer, older := record(2), record(2)
	newer.Version, newer.Effect = 2, revocation.Restored
	older.Version = 1
	f.apply(engine, longer, newer)
	before := f.follow(other, nil)
	before.wants(longer, newer)
	f.apply(other, older, shorter)
	f.apply(engine, shorter, older)
	for _, s := range []*syncing{before, f.follow(f.open(), nil)} {
		s.mustReachEnd()
		if got := s.state(); got[longer.Key] != longer || got[newer.Key] != newer {
			f.Errorf("a lesser record won: %+v", got)
		}
	}
}

// stormDuringSnapshot asks for everything while much is being written.
func stormDuringSnapshot(f *fixture) {
	const writers, each = 4, 400
	engine := f.open()
	f.apply(engine, records(0, 5000)...)
	var wg sync.WaitGroup
	var written atomic.Int64
	for w := range writers {
		engine := f.open()
		wg.Go(func() {
			for i := range each {
				if err := engine.Apply(f.Context(), []revocation.Record{record(10_000 + w*each + i)}); err != nil {
					f.Errorf("Apply: %v", err)
					return
				}
				written.Add(1)
			}
		})
	}
	var followers []*syncing
	for i := range 5 { // each begins at another time of the storm
		f.eventually("the storm goes on", func() bool { return f.Failed() || written.Load() >= int64(i*writers*each/6) })
		followers = append(followers, f.follow(f.open(), nil))
	}
	wg.Wait()
	for _, s := range followers {
		s.wants(append(records(0, 5000), records(10_000, 10_000+writers*each)...)...)
	}
}

// slowReceiver asserts that the engine waits for who receives, for longer than
// any of its own patience lasts.
func slowReceiver(f *fixture) {
	engine, other := f.open(), f.open()
	var waits atomic.Int64
	s := f.followWith(other, nil, func([]revocation.Record) error {
		if waits.Add(1) == 2 {
			time.Sleep(6 * time.Second) // is what is tested
		}
		return nil
	})
	for i := range 1500 { // many small ones, and then large ones
		f.apply(engine, record(i))
	}
	f.apply(engine, records(1500, 20_000)...)
	f.eventually("all comes", func() bool {
		if s.hasEnded() {
			f.Fatalf("the sync ended: %v", s.err)
		}
		return s.state().lacks(records(0, 20_000)...) == 0
	})
}

// beatsFollow asserts that whoever receives a heartbeat has received all that was
// acknowledged before it was sent.
func beatsFollow(f *fixture) {
	writer, other := f.open(), f.open()
	s := f.follow(other, nil)
	for i := range 60 {
		f.apply(writer, record(i))
		s.wants(record(i))
	}
}

func beatsAreOwn(f *fixture) {
	one, other := f.open(), f.open()
	s := f.follow(one, nil)
	s.mustReachEnd()
	if err := other.Beat(f.Context(), 42); err != nil {
		f.Fatalf("Beat: %v", err)
	}
	s.mustReachEnd() // and so past that one
	if s.has(42) {
		f.Error("a heartbeat of another node came")
	}
}

// notesAreEverybodys asserts that a note comes to every node, its own too, behind
// what was in the feed before.
func notesAreEverybodys(f *fixture) {
	one, other := f.open(), f.open()
	here, there := f.follow(one, nil), f.follow(other, nil)
	for i := range 20 {
		f.apply(other, record(i))
		note := fmt.Sprint("note\x00\xff", i)
		if err := one.Note(f.Context(), []byte(note)); err != nil {
			f.Fatalf("Note: %v", err)
		}
		for _, s := range []*syncing{here, there} {
			f.eventually("the note comes", func() bool { return slices.Contains(s.told(), note) })
			if s.state().lacks(record(i)) > 0 {
				f.Error("a note came before what was in the feed")
			}
		}
	}
}

var errReceiver = errors.New("the receiver cannot")

func receiverError(f *fixture) {
	engine := f.open()
	s := f.followWith(engine, nil, func([]revocation.Record) error { return errReceiver })
	f.apply(engine, record(1))
	f.eventually("the sync ends", s.hasEnded)
	if !errors.Is(s.err, errReceiver) {
		f.Errorf("Sync = %v; want the receiver's error", s.err)
	}
	f.follow(engine, nil).wants(record(1))
}
