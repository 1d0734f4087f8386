package revocation

import (
	"math/bits"
	"sync"
	"time"
)

// Share is what one client has of the denylist.
type Share struct {
	// Records is how many of its records are live. One that ends in the minutes
	// d from when it was stored may be left out up to d/16 before it ends, and is
	// never counted after that. Records of [KindUsed] do not count: they end
	// within minutes, so that a limit on the rate of requests bounds them. Those of
	// operators do not either.
	Records int
	// Frees is when the next of them stops counting; zero if there are none.
	Frees time.Time
}

// Share counts the live records that are By a client, or that it made last longer
// since they were loaded. It is known right after Open.
func (d *Denylist) Share(by string) Share { return d.shares.of(by, d.now()) }

// maxShares is how many clients are counted, so that memory is bounded. Of any
// more that have live records nothing is known: what shares are for is to keep
// clients from taking each other's room, not to bound the whole.
const maxShares = 1 << 14

// shares counts records by client.
type shares struct {
	mu       sync.Mutex
	byClient map[string]*tally
}

func newShares() *shares { return &shares{byClient: make(map[string]*tally)} }

// tally counts records by the minute in which they end, coarser the further away
// that is: sixteen counts serve for twice the time, and some 450 for any time.
type tally struct {
	records int
	first   int64            // no count ends before this minute
	ends    map[int64]*int32 // minute: records; a pointer, as loading looks each up
}

// minute is t in whole minutes since 1970.
func minute(t time.Time) int64 { return t.Unix() / 60 }

// coarse is the end under which a record is counted: up to a sixteenth of the
// way from now sooner, so that clients of whom much is counted have few counts.
// The grids of all distances fit into each other.
func coarse(end, now int64) int64 {
	const digits = 5 // that are kept of the distance, in binary
	return end &^ (1<<max(0, bits.Len64(uint64(end-now))-digits) - 1)
}

// add counts a record that is stored now. If that makes a record last longer,
// which till then ended in the minute before, it is counted anew for whoever
// wants it to; that is the client of whom it was counted, mostly.
func (s *shares) add(r *Record, before int64, now time.Time) {
	if r.Operator {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally(r.By)
	if t != nil && before > 0 {
		t.take(before, minute(now))
	}
	count(t, r, minute(now))
}

// tally is that of a client, or nil if there is no room for one more.
func (s *shares) tally(by string) *tally {
	t := s.byClient[by]
	if t == nil && len(s.byClient) < maxShares {
		t = &tally{ends: make(map[int64]*int32)}
		s.byClient[by] = t
	}
	return t
}

// count adds a record to a tally, unless it ends right now.
func count(t *tally, r *Record, now int64) {
	end := minute(r.Expires)
	if t != nil && end > now && r.Key.Kind != KindUsed && !r.Operator {
		t.enter(coarse(end, now), 1)
	}
}

func (t *tally) enter(end int64, n int32) {
	if t.records == 0 || end < t.first {
		t.first = end
	}
	count := t.ends[end]
	if count == nil {
		count = new(int32)
		t.ends[end] = count
	}
	*count += n
	t.records += int(n)
}

// take takes back one record that ends in a minute, from wherever it may have
// been counted: under its end, or one that is coarser.
func (t *tally) take(end, now int64) {
	for width := int64(1); end > now; width *= 2 {
		if count := t.ends[end]; count != nil {
			*count--
			t.records--
			if *count == 0 {
				delete(t.ends, end)
				t.forget(t.first - 1) // nothing, but finds which is first now
			}
			return
		}
		end &^= width
	}
}

// of forgets what a client had that has ended, and counts the rest.
func (s *shares) of(by string, now time.Time) Share {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byClient[by]
	if t == nil {
		return Share{}
	}
	if t.sweep(minute(now)); t.records == 0 {
		delete(s.byClient, by)
		return Share{}
	}
	return Share{Records: t.records, Frees: time.Unix(t.first*60, 0).UTC()}
}

// sweep forgets what ended by the minute now.
func (t *tally) sweep(now int64) {
	if now >= t.first {
		t.forget(now)
	}
}

func (t *tally) forget(now int64) {
	next := int64(0)
	for end, n := range t.ends {
		switch {
		case end <= now:
			t.records -= int(*n)
			delete(t.ends, end)
		case next == 0 || end < next:
			next = end
		}
	}
	t.first = next
}

// sweep forgets what ended before now, and clients that have nothing left.
func (s *shares) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for by, t := range s.byClient {
		if t.sweep(minute(now)); t.records == 0 {
			delete(s.byClient, by)
		}
	}
}

// shareCount counts one part of what is loaded, without locks.
type shareCount struct {
	shares *shares
	now    int64
	by     string // of the record before, and mostly of the next one
	last   *tally
}

func newShareCount(now time.Time) *shareCount {
	return &shareCount{shares: newShares(), now: minute(now)}
}

func (c *shareCount) add(r *Record) {
	if r.By != c.by || c.last == nil {
		c.by, c.last = r.By, c.shares.tally(r.By)
	}
	count(c.last, r, c.now)
}

// fill adds what a part has counted.
func (s *shares) fill(c *shareCount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for by, counted := range c.shares.byClient {
		if t := s.tally(by); t != nil {
			for end, n := range counted.ends {
				t.enter(end, *n)
			}
		}
	}
}
