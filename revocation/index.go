package revocation

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// index is the set of the fingerprints of all live records. It has no false
// negatives; a false positive has a probability of about n / 2^47 with n
// records. Reads take no lock and allocate nothing, also while the set grows,
// shrinks or forgets.
//
// A fingerprint is 47 bits of a hash of the key under a seed that only this
// process knows, because attackers choose tokens. Its first 8 bits choose one
// of 256 segments, each a table of its own that grows by itself: what is
// copied at a time, and held twice meanwhile, is a 256th of the whole.
type index struct {
	seed     [2]uint64
	epoch    int64 // Unix minutes at which the index was made: minute 0
	segments [segmentCount]segment
}

// A word of a table is a 39-bit tag, the rest of the fingerprint, above the
// minute in which the record ends, in 24 bits. As the tag alone says where in
// its table a word belongs, a segment can rebuild itself without the store.
const (
	segmentBits  = 8
	segmentCount = 1 << segmentBits
	tagBits      = 39
	minuteBits   = 24
	lineWords    = 8 // a cache line of 64 bytes

	free      = 0 // no tag is 0, see place
	tombstone = 1

	// overflowed is the one bit that is left, used in the last word of a line:
	// some word that belonged here stands further on. A line without it ends
	// every search. Being full would do, but is twice as frequent, and what a
	// processor cannot predict costs it a whole memory access.
	overflowed = 1 << 63

	lastMinute = 1<<minuteBits - 1 // stands for every later one; 31 years away
)

// A table is rebuilt when maxLoad of its words are in use, so that then it is
// minLoad full: between 12.7 and 15.1 bytes a record.
const (
	maxLoad    = 0.63
	minLoad    = 0.53
	shrinkLoad = 0.35
)

// line is where the words of neighbouring tags stand, in any order.
type line [lineWords]atomic.Uint64

// table is open addressing by lines. A word is replaced, by a tombstone or by
// itself with a later minute, but never moved.
type table struct{ lines []line }

type segment struct {
	table atomic.Pointer[table] // nil while empty

	mu       sync.Mutex // for writers
	live     int
	used     int    // live and tombstones
	earliest uint64 // no live word ends before this minute
	_        [24]byte
}

func newIndex(now time.Time) *index {
	return &index{seed: [2]uint64{rand.Uint64(), rand.Uint64()}, epoch: now.Unix() / 60}
}

// hash mixes a key with the seed. The digest is as good as random already; the
// seed keeps whoever can compute digests from choosing where they fall.
func (x *index) hash(key *Key) uint64 {
	hi, lo := bits.Mul64(
		binary.LittleEndian.Uint64(key.Digest[0:])^x.seed[0]^uint64(key.Kind),
		binary.LittleEndian.Uint64(key.Digest[8:])^x.seed[1],
	)
	return hi ^ lo
}

// place is where a key stands: the number of its segment and its tag there.
func (x *index) place(key *Key) (segment, tag uint64) {
	h := x.hash(key)
	return h >> (64 - segmentBits), max(h>>(64-segmentBits-tagBits)&(1<<tagBits-1), 1)
}

// has says whether a live record of the key may exist. False is certain.
func (x *index) has(key *Key) bool {
	n, tag := x.place(key)
	t := x.segments[n].table.Load()
	return t != nil && t.has(tag)
}

// add enters a key until the given end. A key that is there already keeps the
// later of both ends. It says whether the end is the one that was given, and
// otherwise changed nothing; before is the minute since 1970 in which the key
// ended till then, or 0 if it is new.
func (x *index) add(key *Key, end time.Time) (before int64, changed bool) {
	n, tag := x.place(key)
	s := &x.segments[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	old, changed := s.enter(tag, x.minute(end))
	if old == 0 {
		return 0, changed
	}
	return x.epoch + int64(old) - 1, changed
}

// minute is the first whole minute, counted from the epoch, at or after t.
func (x *index) minute(t time.Time) uint64 {
	m := t.Unix()/60 + 1 - x.epoch
	return uint64(min(max(m, 0), lastMinute))
}

// sweep forgets what ended before t, and returns how much that was.
func (x *index) sweep(t time.Time) int {
	now := min(t.Unix()/60-x.epoch, lastMinute)
	if now <= 0 {
		return 0
	}
	n := 0
	for i := range x.segments {
		n += x.segments[i].sweep(uint64(now))
	}
	return n
}

// size counts the fingerprints, and the bytes that they and their spare room take.
func (x *index) size() (records, bytes int) {
	for i := range x.segments {
		s := &x.segments[i]
		s.mu.Lock()
		records += s.live
		if t := s.table.Load(); t != nil {
			bytes += len(t.lines) * lineWords * 8
		}
		s.mu.Unlock()
	}
	return records, bytes
}

// home is the line at which the search for a tag begins: the tag's place
// among all tags is the line's among all lines.
func (t *table) home(tag uint64) int {
	return int(tag >> (tagBits - 32) * uint64(len(t.lines)) >> 32)
}

func (t *table) has(tag uint64) bool {
	i := t.home(tag)
	for range t.lines {
		l := &t.lines[i]
		if l.has(tag) {
			return true
		}
		if l[lineWords-1].Load()&overflowed == 0 {
			return false
		}
		if i++; i == len(t.lines) {
			i = 0
		}
	}
	return false
}

// has compares all words before it branches once: which word of a line is free
// is nothing that a processor could predict.
func (l *line) has(tag uint64) bool {
	// A word with this tag differs from tag<<minuteBits in its minute at most;
	// only then does taking away one more than that borrow from the high bit.
	const one = 1 << minuteBits
	tag <<= minuteBits
	hit := (l[0].Load() ^ tag) - one
	hit |= (l[1].Load() ^ tag) - one
	hit |= (l[2].Load() ^ tag) - one
	hit |= (l[3].Load() ^ tag) - one
	hit |= (l[4].Load() ^ tag) - one
	hit |= (l[5].Load() ^ tag) - one
	hit |= (l[6].Load() ^ tag) - one
	hit |= (l[7].Load()&^overflowed ^ tag) - one
	return hit>>63 != 0
}

// slot finds the word of a tag, or else one that can take it, and in that case
// marks the lines that it had to pass over.
func (t *table) slot(tag uint64) (word *atomic.Uint64, found bool) {
	for i := t.home(tag); ; i = (i + 1) % len(t.lines) {
		l := &t.lines[i]
		for j := range l {
			switch w := l[j].Load() &^ overflowed; {
			case w>>minuteBits == tag:
				return &l[j], true
			case w <= tombstone && word == nil:
				word = &l[j]
			}
		}
		last := &l[lineWords-1]
		if last.Load()&overflowed != 0 {
			continue
		}
		if word != nil {
			return word, false
		}
		last.Store(last.Load() | overflowed)
	}
}

// put replaces a word and keeps the mark of its line.
func put(word *atomic.Uint64, w uint64) { word.Store(w | word.Load()&overflowed) }

// each calls f with every live word.
func (t *table) each(f func(word *atomic.Uint64, w uint64)) {
	for i := range t.lines {
		for j := range t.lines[i] {
			word := &t.lines[i][j]
			if w := word.Load() &^ overflowed; w > tombstone {
				f(word, w)
			}
		}
	}
}

// enter says whether it changed anything; old is the minute of a tag that was
// there, or 0.
func (s *segment) enter(tag, minute uint64) (old uint64, changed bool) {
	t := s.table.Load()
	if t == nil {
		t = s.rebuild(1)
	}
	word, found := t.slot(tag)
	w := word.Load() &^ overflowed
	if found {
		if old = w & lastMinute; minute > old {
			put(word, tag<<minuteBits|minute)
		}
		return old, minute > old
	}
	if w == free {
		if s.used+1 > int(maxLoad*float64(len(t.lines)*lineWords)) {
			word, _ = s.rebuild(s.live + 1).slot(tag)
		}
		s.used++
	}
	put(word, tag<<minuteBits|minute)
	s.live++
	s.earliest = min(s.earliest, minute)
	return 0, true
}

// rebuild copies the live words into a table for n of them, and lets readers
// have it. A reader in the old one misses only what is added later, and so
// after it began.
func (s *segment) rebuild(n int) *table {
	words := int(math.Ceil(float64(n) / minLoad))
	t := &table{lines: make([]line, (words+lineWords-1)/lineWords)}
	s.live, s.earliest = 0, lastMinute
	if old := s.table.Load(); old != nil {
		old.each(func(_ *atomic.Uint64, w uint64) {
			word, _ := t.slot(w >> minuteBits)
			put(word, w)
			s.live++
			s.earliest = min(s.earliest, w&lastMinute)
		})
	}
	s.used = s.live
	s.table.Store(t)
	return t
}

func (s *segment) sweep(now uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	if t == nil || s.earliest >= now {
		return 0
	}
	n := 0
	s.earliest = lastMinute
	t.each(func(word *atomic.Uint64, w uint64) {
		if minute := w & lastMinute; minute >= now {
			s.earliest = min(s.earliest, minute)
			return
		}
		put(word, tombstone)
		n++
	})
	s.live -= n
	switch words := len(t.lines) * lineWords; {
	case s.live == 0:
		s.used = 0
		s.table.Store(nil)
	case float64(s.live) < shrinkLoad*float64(words) && len(t.lines) > 1:
		s.rebuild(s.live)
	}
	return n
}
