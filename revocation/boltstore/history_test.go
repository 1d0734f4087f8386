package boltstore

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	historySeed  = "BOLTSTORE_SEED" // has that history made again
	historySteps = 400
	historyKeys  = 40
)

// Whatever happens to a store, it has what all that was put comes to. A crash takes
// only what was put lazily, from the end, together with its cursor.
func TestHistories(t *testing.T) {
	for name, limits := range manyLimits {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t, limits)
			h.open()
			defer func() { _ = h.store.Close() }()
			for range historySteps {
				h.step()
				h.check()
			}
		})
	}
}

// A file may come from a machine with other pages.
func TestPageSizes(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 14, 1 << 16} {
		h := newHistory(t, manyLimits["tiny rooms"])
		db, err := bbolt.Open(h.path, 0o600, &bbolt.Options{PageSize: size})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		h.open()
		for range historySteps / 4 {
			h.step()
			h.check()
		}
		if found := h.store.db.Info().PageSize; found != size {
			t.Errorf("pages have %d bytes, want %d", found, size)
		}
		_ = h.store.Close()
	}
}

// history is what happened to a store.
type history struct {
	t      *testing.T
	seed   uint64
	limits limits
	rand   *rand.Rand
	path   string
	store  *Store
	gone   bool    // the file is, so that nothing can be written
	states []state // after each step, from the first to which a crash may lead on
	steps  []string
}

// newHistory is that of a file that is not there yet.
func newHistory(t *testing.T, limits limits) *history {
	seed := rand.Uint64()
	if text := os.Getenv(historySeed); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	return &history{
		t: t, seed: seed, limits: limits, rand: rand.New(rand.NewPCG(seed, 0)), path: newPath(t),
		states: []state{{records: map[revocation.Key]revocation.Record{}}},
	}
}

// state is what a store should have.
type state struct {
	records map[revocation.Key]revocation.Record
	cursor  []byte
}

func (s *state) sorted() []revocation.Record {
	return slices.SortedFunc(maps.Values(s.records), func(a, b revocation.Record) int { return a.Key.Compare(b.Key) })
}

func (s *state) same(found state) bool {
	return maps.Equal(s.records, found.records) && bytes.Equal(s.cursor, found.cursor) && (s.cursor == nil) == (found.cursor == nil)
}

func (h *history) fatalf(format string, args ...any) {
	h.t.Helper()
	steps := h.steps[max(0, len(h.steps)-12):]
	h.t.Fatalf("seed %d, step %d (%v): "+format, append([]any{h.seed, len(h.steps), steps}, args...)...)
}

func (h *history) now() *state { return &h.states[len(h.states)-1] }

// next is the state from which the one after this step is made.
func (h *history) next() *state {
	now := h.now()
	h.states = append(h.states, state{maps.Clone(now.records), now.cursor})
	return h.now()
}

// durable says that no crash can undo what has happened so far.
func (h *history) durable() { h.states = h.states[len(h.states)-1:] }

func (h *history) step() {
	steps := []struct {
		name  string
		often int
		do    func()
	}{
		{"put", 8, func() { h.put(1+h.rand.IntN(3), false) }},
		{"put lazily", 12, func() { h.put(1+h.rand.IntN(3), true) }},
		{"put many", 2, func() { h.put(9+h.rand.IntN(10), h.rand.IntN(2) == 0) }},
		{"drop", 3, h.drop},
		{"get", 3, h.get},
		{"scan", 3, h.scan},
		{"lose the file", 1, func() { h.lose(true) }},
		{"find the file", 2, func() { h.lose(false) }},
		{"reopen", 1, h.reopen},
		{"crash", 2, h.crash},
	}
	sum := 0
	for _, s := range steps {
		sum += s.often
	}
	at := h.rand.IntN(sum)
	for _, s := range steps {
		if at -= s.often; at < 0 {
			h.steps = append(h.steps, s.name)
			s.do()
			return
		}
	}
}

// record is one of few keys, and differs in what Merge looks at.
func (h *history) record() revocation.Record {
	r := record(h.rand.IntN(historyKeys))
	r.Expires = h.time()
	r.Revoked = t0.Add(time.Duration(h.rand.IntN(3)) * time.Millisecond)
	r.Version = uint64(h.rand.IntN(3))
	r.Effect = revocation.Effect(h.rand.IntN(3))
	return r
}

func (h *history) time() time.Time { return t0.Add(time.Duration(h.rand.IntN(10)) * time.Second) }

func (h *history) put(n int, lazy bool) {
	batch := h.batch(n)
	batch.Lazy = lazy
	err := h.store.Put(h.t.Context(), batch)
	if h.gone && errors.Is(err, revocation.ErrNotStored) {
		return
	}
	if err != nil || h.gone && !lazy {
		h.fatalf("Put = %v, with the file gone: %t", err, h.gone)
	}
	h.entered(batch)
	if !lazy {
		h.durable()
	}
}

func (h *history) batch(n int) (batch revocation.Batch) {
	keys := map[revocation.Key]bool{}
	if h.rand.IntN(3) == 0 {
		batch.Forgotten = h.time()
	}
	for range n {
		r := h.record()
		// Of those that are forgotten before they come, any could count.
		if batch.Forgotten.IsZero() || !keys[r.Key] {
			batch.Records = append(batch.Records, r)
		}
		keys[r.Key] = true
	}
	if h.rand.IntN(2) == 0 {
		batch.Cursor = []byte(strconv.Itoa(len(h.steps)))
	}
	return batch
}

// entered says that a batch was put.
func (h *history) entered(batch revocation.Batch) {
	next := h.next()
	for _, r := range batch.Records {
		if old, ok := next.records[r.Key]; ok && !old.Expires.Before(batch.Forgotten) {
			r = revocation.Merge(old, r)
		}
		next.records[r.Key] = r
	}
	if batch.Cursor != nil {
		next.cursor = batch.Cursor
	}
}

func (h *history) drop() {
	before := h.time().Add(-5 * time.Second)
	n, err := h.store.Drop(h.t.Context(), before)
	if h.gone && errors.Is(err, revocation.ErrNotStored) {
		return
	}
	next := h.next()
	had := len(next.records)
	maps.DeleteFunc(next.records, func(_ revocation.Key, r revocation.Record) bool { return r.Expires.Before(before) })
	if err != nil || n != had-len(next.records) {
		h.fatalf("Drop = %d, %v; want %d", n, err, had-len(next.records))
	}
}

func (h *history) get() {
	for i := range historyKeys {
		key := record(i).Key
		want, ok := h.now().records[key]
		got, err := h.store.Get(key)
		if errors.Is(err, revocation.ErrNotFound) == ok || got != want || ok && err != nil {
			h.fatalf("Get(%s) = %+v, %v; want %+v", key, got, err, want)
		}
	}
}

// scan scans from a key that is there or not.
func (h *history) scan() {
	from := record(h.rand.IntN(2 * historyKeys)).Key
	want := slices.DeleteFunc(h.now().sorted(), func(r revocation.Record) bool { return r.Key.Compare(from) < 0 })
	if got := h.found(h.store, from); !slices.Equal(got, want) {
		h.fatalf("Scan from %s finds %+v, want %+v", from, got, want)
	}
}

func (h *history) found(s *Store, from revocation.Key) (found []revocation.Record) {
	err := s.Scan(h.t.Context(), from, func(r revocation.Record) error { found = append(found, r); return nil })
	if err != nil {
		h.fatalf("Scan: %v", err)
	}
	return found
}

// foundState is all that the store has.
func (h *history) foundState() state {
	found := state{records: map[revocation.Key]revocation.Record{}}
	for _, r := range h.found(h.store, revocation.Key{}) {
		found.records[r.Key] = r
	}
	found.cursor, _ = h.store.Cursor()
	return found
}

func (h *history) open() {
	var err error
	if h.store, err = open(h.t.Context(), h.path, DefaultLockTimeout, h.limits); err != nil {
		h.fatalf("open: %v", err)
	}
}

// lose has the file be gone, or back.
func (h *history) lose(gone bool) {
	from, to := h.path+".aside", h.path
	if gone {
		from, to = to, from
	}
	if gone != h.gone {
		if err := os.Rename(from, to); err != nil {
			h.fatalf("%v", err)
		}
	}
	h.gone = gone
}

func (h *history) reopen() {
	h.lose(false)
	if err := h.store.Close(); err != nil {
		h.fatalf("Close: %v", err)
	}
	h.durable()
	h.open()
}

// crash goes on with the file as it is while the store is open.
func (h *history) crash() {
	h.lose(false)
	after := copyOpen(h.t, h.store)
	if err := h.store.Close(); err != nil {
		h.fatalf("Close: %v", err)
	}
	h.path = after
	intact(h.t, h.path)
	h.open()
	found := h.foundState()
	if !slices.ContainsFunc(h.states, func(s state) bool { return s.same(found) }) {
		h.fatalf("after a crash there are %+v and cursor %q: none of %+v", found.records, found.cursor, h.states)
	}
	h.states = []state{found}
}

// check compares all that the store has.
func (h *history) check() {
	if got, want := h.found(h.store, revocation.Key{}), h.now().sorted(); !slices.Equal(got, want) {
		h.fatalf("Scan finds %+v, want %+v", got, want)
	}
	if got, err := h.store.Cursor(); err != nil || !bytes.Equal(got, h.now().cursor) {
		h.fatalf("Cursor = %q, %v; want %q", got, err, h.now().cursor)
	}
}
