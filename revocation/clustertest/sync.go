package clustertest

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// syncing is one Sync, and what it has delivered.
type syncing struct {
	f      *fixture
	engine cluster.Engine
	end    context.CancelFunc
	ended  chan struct{}
	err    error // once ended

	mu         sync.Mutex
	known      known
	deliveries []delivery
	snapshots  []string
	beats      map[uint64]bool
	notes      []string
	// on, unless nil, is called with each delivery before it counts.
	on func([]revocation.Record) error
}

type delivery struct {
	records []revocation.Record
	cursor  []byte
}

// follow begins a Sync, with a receiver that knows something already, or not.
func (f *fixture) follow(engine cluster.Engine, cursor []byte, knows ...revocation.Record) *syncing {
	return f.followWith(engine, cursor, nil, knows...)
}

func (f *fixture) followWith(engine cluster.Engine, cursor []byte, on func([]revocation.Record) error, knows ...revocation.Record) *syncing {
	s := &syncing{f: f, engine: engine, ended: make(chan struct{}), known: make(known), beats: make(map[uint64]bool), on: on}
	s.known.add(knows...)
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	f.Cleanup(s.stop)
	go func() {
		defer close(s.ended)
		for range 10 {
			if s.err = engine.Sync(ctx, cursor, s); s.err == nil {
				f.Error("Sync returned nil")
			}
			if !s.begunInVain() {
				return
			}
		}
	}()
	return s
}

// begunInVain says whether the Sync has ended before it delivered anything, since a server
// of a slow machine did not answer in time: then it is begun anew.
func (s *syncing) begunInVain() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(s.err, context.DeadlineExceeded) || len(s.deliveries)+len(s.beats)+len(s.notes) > 0 {
		return false
	}
	s.snapshots = nil
	return true
}

func (s *syncing) stop() {
	s.end()
	<-s.ended
}

func (s *syncing) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *syncing) Snapshot(why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshots = append(s.snapshots, why); len(s.snapshots) > 1 || len(s.deliveries) > 0 {
		s.f.Errorf("Snapshot is not the first call, or not the only one: %q", s.snapshots)
	}
	if !slices.Contains(cluster.Reasons(), why) {
		s.f.Errorf("%q is none of the reasons", why)
	}
	return nil
}

func (s *syncing) Deliver(_ context.Context, records []revocation.Record, cursor []byte) error {
	if s.on != nil {
		if err := s.on(records); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.add(records...)
	s.deliveries = append(s.deliveries, delivery{slices.Clone(records), slices.Clone(cursor)})
	return nil
}

func (s *syncing) Beat(beat uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats[beat] = true
	return nil
}

func (s *syncing) Note(note []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, string(note))
	return nil
}

// reachesEnd waits until all has been delivered that the feed has now, and says
// whether that came, in a time.
func (s *syncing) reachesEnd(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(s.f.Context(), within)
	defer cancel()
	beat := rand.Uint64()
	sent := false
	for {
		if !sent { // the sync may have to make first what the heartbeat needs
			sent = s.engine.Beat(ctx, beat) == nil
		}
		if s.has(beat) {
			return true
		}
		select {
		case <-s.ended:
			return false
		case <-ctx.Done():
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (s *syncing) has(beat uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beats[beat]
}

// mustReachEnd is reachesEnd where nothing is in the way.
func (s *syncing) mustReachEnd() {
	s.f.Helper()
	if !s.reachesEnd(patience) {
		if s.hasEnded() {
			s.f.Fatalf("the sync ended: %v", s.err)
		}
		s.f.Fatal("no heartbeat comes")
	}
}

// wants asserts that the records are known, once all has come.
func (s *syncing) wants(records ...revocation.Record) {
	s.f.Helper()
	s.mustReachEnd()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.known.lacks(records...); n > 0 {
		s.f.Fatalf("%d of %d records did not come", n, len(records))
	}
}

// why is why all had to be delivered, or empty if it had not.
func (s *syncing) why() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.snapshots, "; ")
}

// told are the notes that came.
func (s *syncing) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

// count is how many records were delivered.
func (s *syncing) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.deliveries {
		n += len(d.records)
	}
	return n
}

// cursor is the last that was delivered.
func (s *syncing) cursor() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range slices.Backward(s.deliveries) {
		if d.cursor != nil {
			return d.cursor
		}
	}
	s.f.Fatal("no cursor was delivered")
	return nil
}

// state is all that is known.
func (s *syncing) state() known {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.known)
}
