package faults

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/tests/faults/history"
)

// traffic is whoever revokes, asks and watches, at each gateway. One that does not
// answer keeps nobody from the others.
type traffic struct {
	workers sync.WaitGroup
	end     chan struct{}
	working sync.RWMutex // held for reading by whoever does something
}

// Between two things that one worker does, on average.
const (
	revokeEvery = 100 * time.Millisecond
	askEvery    = 30 * time.Millisecond
	reportEvery = 100 * time.Millisecond
)

func (s *system) begin() {
	s.traffic.end = make(chan struct{})
	s.traffic.workers.Go(s.watchClock)
	s.watchDisk()
}

// attend lets traffic come to a gateway.
func (s *system) attend(g *gateway) {
	s.traffic.keep(revokeEvery, func() { g.revoke(s.tokens.toRevoke()) })
	for range 2 {
		s.traffic.keep(askEvery, func() { g.ask(s.tokens.toAsk(), false) })
	}
	s.traffic.keep(reportEvery, func() { g.report() })
}

// keep does something again and again until the traffic ends.
func (w *traffic) keep(every time.Duration, do func()) {
	w.workers.Go(func() {
		for {
			select {
			case <-w.end:
				return
			case <-time.After(every/2 + rand.N(every)):
			}
			w.working.RLock()
			do()
			w.working.RUnlock()
		}
	})
}

// paused calls f while nobody does anything.
func (w *traffic) paused(f func()) {
	w.working.Lock()
	defer w.working.Unlock()
	f()
}

func (w *traffic) stop() {
	close(w.end)
	w.workers.Wait()
}

// A clock that is looked at every tick, and was not for so long, says that the
// machine has had no time.
const (
	tick    = 20 * time.Millisecond
	stalled = 500 * time.Millisecond
)

func (s *system) watchClock() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for before := s.written.Now(); ; {
		select {
		case <-s.traffic.end:
			return
		case <-ticker.C:
		}
		now := s.written.Now()
		if now-before > stalled {
			s.written.Add(history.Event{Kind: history.Stall, Begin: before, End: now})
		}
		before = now
	}
}

// watchDisk makes something durable again and again. What takes as long as that
// holds up servers and gateways, too, however much time there is otherwise.
func (s *system) watchDisk() {
	s.t.Helper()
	file, err := os.Create(filepath.Join(s.dir, "disk"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.close = append(s.close, func() { _ = file.Close() })
	s.traffic.keep(reportEvery, func() {
		before := s.written.Now()
		_, err := file.WriteAt([]byte{0}, 0)
		if err := errors.Join(err, file.Sync()); err != nil {
			s.t.Error(err)
		}
		if now := s.written.Now(); now-before > stalled {
			s.written.Add(history.Event{Kind: history.Stall, Begin: before, End: now})
		}
	})
}
