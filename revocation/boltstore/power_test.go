package boltstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	powerSteps = 150
	tornFiles  = 2 // of each write
)

// Whatever a loss of power leaves of the write that was under way, the file is as before
// it or after it, and can be gone on with.
func TestPowerLoss(t *testing.T) {
	for name, limits := range manyLimits {
		t.Run(name, func(t *testing.T) {
			limits.room, limits.rooms = min(limits.room, 1<<14), min(limits.rooms, 1<<15) // or there is much to copy
			p := &power{history: newHistory(t, limits)}
			p.entered(revocation.Batch{Records: records(3), Cursor: []byte("first format")})
			p.durable()
			inFirstFormat(t, p.path, p.now().sorted(), p.now().cursor)
			p.write(func() error { p.openIdle(); return nil })
			for range powerSteps {
				p.step()
			}
			p.abandon()
		})
	}
}

// power is a history in which every write is looked at as a loss of power may leave it.
// Its store has no committer: the test does what it does, one write at a time.
type power struct {
	*history
}

func (p *power) openIdle() {
	var err error
	if p.store, err = openIdle(p.t.Context(), p.path, DefaultLockTimeout, p.limits); err != nil {
		p.fatalf("open: %v", err)
	}
	p.store.db.NoSync = true // what is not durable is made up by the test
	p.store.sync = func() error { return nil }
}

// abandon leaves the file as it is.
func (p *power) abandon() { abandon(p.t, p.store) }

// abandon closes the file of a store without a committer, as it is.
func abandon(t *testing.T, s *Store) {
	t.Helper()
	s.mover.sorting.Wait()
	if err := s.db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func (p *power) step() {
	do := func(name string, f func()) {
		p.steps = append(p.steps, name)
		f()
	}
	switch n := p.rand.IntN(20); {
	case n < 5:
		do("put", func() { p.commit(p.batch(1 + p.rand.IntN(3))) })
	case n < 9:
		do("put lazily", func() { p.putLate(p.batch(1 + p.rand.IntN(3))) })
	case n < 11:
		do("put many", func() { p.commit(p.batch(9 + p.rand.IntN(10))) })
	case n < 13:
		do("drop", func() {
			if p.write(func() error { p.drop(); return nil }) { // what was late, too
				p.durable()
			}
		})
	case n < 17:
		for range 1 << p.rand.IntN(4) {
			do("move", p.move)
		}
	case n < 18:
		do("fail halfway", p.failHalfway)
	case n < 19:
		do("fail to sync", p.failToSync)
	default:
		do("reopen", func() { p.abandon(); p.openIdle(); p.states = p.states[:1] })
	}
	p.check()
}

// move takes the next step of what is being moved, if anything is.
func (p *power) move() {
	if m := p.store.mover; m.next != nil {
		<-m.next
		p.write(func() error { m.step(); return nil })
	}
}

// commit puts a batch durably.
func (p *power) commit(batch revocation.Batch) {
	p.entered(batch)
	p.write(func() error { return p.tryCommit(batch) })
	p.durable()
}

func (p *power) tryCommit(batch revocation.Batch) error { return commitOne(p.store, batch) }

// commitOne puts a batch durably into a store without a committer.
func commitOne(s *Store, batch revocation.Batch) error {
	return s.commitAll([]*put{{batch: batch, ctx: context.Background(), result: make(chan error, 1)}})
}

func (p *power) putLate(batch revocation.Batch) {
	done, err := p.store.putLate(p.t.Context(), batch)
	if err != nil {
		p.fatalf("Put = %v", err)
	}
	if !done {
		p.commit(batch)
		return
	}
	p.entered(batch)
}

// failHalfway has the disk refuse a frame of which it has written a part.
func (p *power) failHalfway() {
	s := p.store
	writable := s.file
	readOnly, err := os.Open(p.path)
	if err != nil {
		p.fatalf("%v", err)
	}
	defer func() { _ = readOnly.Close() }()
	s.file = readOnly
	batch := p.batch(1 + p.rand.IntN(3))
	err = p.tryCommit(batch)
	s.file = writable
	switch {
	case err == nil: // there was nothing to write, or it was in a transaction
		p.entered(batch)
		p.durable()
	case errors.Is(err, revocation.ErrNotStored):
		r := s.journal.rooms[s.journal.growing]
		at := r.at + int64(r.used)
		part := s.journal.scratch[:p.rand.IntN(len(s.journal.scratch))]
		if _, err := s.file.WriteAt(part, at); err != nil {
			p.fatalf("%v", err)
		}
		if err := s.takeBack(s.journal.scratch, at); err != nil {
			p.fatalf("%v", err)
		}
	default:
		p.fatalf("Put = %v, want ErrNotStored", err)
	}
}

// failToSync has the disk not say what of a frame is durable. The file is only read until
// it is opened again.
func (p *power) failToSync() {
	p.store.sync = func() error { return errors.New("no sync") }
	before := p.content()
	batch := p.batch(1 + p.rand.IntN(3))
	err := p.tryCommit(batch)
	p.entered(batch)
	switch {
	case err == nil:
		p.store.sync = func() error { return nil }
		p.durable()
	case errors.Is(err, revocation.ErrNotStored):
		p.fatalf("Put = %v, which promises that it is not stored", err)
	default:
		p.check()
		notStored(p.t, p.tryCommit(revocation.Batch{Records: records(1000)}))
		p.goOn(p.torn(before, p.content()))
	}
}

func (p *power) content() []byte {
	content, err := os.ReadFile(p.path)
	if err != nil {
		p.fatalf("%v", err)
	}
	return content
}

// write does what writes at most one frame or transaction, and looks at what a loss of
// power could have left of that. Sometimes it goes on with it. It says whether anything
// was written and is there.
func (p *power) write(do func() error) (written bool) {
	before := p.content()
	if err := do(); err != nil {
		p.fatalf("%v", err)
	}
	after := p.content()
	if bytes.Equal(before, after) {
		return false
	}
	for range tornFiles {
		p.look(p.torn(before, after))
	}
	if p.rand.IntN(8) == 0 {
		p.goOn(p.torn(before, after))
		return false
	}
	return true
}

// torn is a file that has some of what differs. bbolt makes all else durable before it
// writes one of the two pages at the front, by which it counts.
func (p *power) torn(before, after []byte) []byte {
	front := int(p.store.front)
	if bytes.Equal(before[:front], after[:front]) {
		p.oneFrame(before, after)
		return p.some(before, after, 0, len(before))
	}
	if p.rand.IntN(2) == 0 {
		return p.some(append(before, make([]byte, len(after)-len(before))...), after, front, len(after))
	}
	return p.some(append(bytes.Clone(before[:front]), after[front:]...), after, 0, front)
}

// oneFrame asserts that what differs is in the room that grows, behind what it had.
func (p *power) oneFrame(before, after []byte) {
	if len(before) != len(after) {
		p.fatalf("the file went from %d to %d bytes without a transaction", len(before), len(after))
	}
	first, last := 0, len(after)
	for before[first] == after[first] {
		first++
	}
	for before[last-1] == after[last-1] {
		last--
	}
	for i := range p.store.journal.rooms {
		r := &p.store.journal.rooms[i]
		if int64(first) >= r.at+roomID && int64(last) <= r.at+int64(r.size) {
			return
		}
	}
	p.fatalf("bytes %d to %d were written without a transaction, beside %+v", first, last, p.store.journal.rooms)
}

// some is what was there before, with some of what came after in a part of it.
func (p *power) some(before, after []byte, from, to int) []byte {
	unit := []int{1, 512, 4096}[p.rand.IntN(3)]
	var differ []int
	for at := from; at < to; at += unit {
		if end := min(at+unit, to); !bytes.Equal(before[at:end], after[at:end]) {
			differ = append(differ, at)
		}
	}
	cut := p.rand.IntN(len(differ) + 1)
	how := p.rand.IntN(3)
	image := bytes.Clone(before)
	for i, at := range differ {
		if how == 0 && i < cut || how == 1 && i >= cut || how == 2 && p.rand.IntN(2) == 0 {
			end := min(at+unit, to)
			copy(image[at:end], after[at:end])
		}
	}
	return image
}

// look goes on with a copy of the file for a while.
func (p *power) look(image []byte) {
	h := *p.history
	h.path = filepath.Join(filepath.Dir(p.path), "torn.db")
	p.image(h.path, image)
	other := power{&h}
	other.openIdle()
	h.states = []state{p.oneOf(h.foundState())}
	for range 1 + p.rand.IntN(3) {
		batch := h.batch(1 + p.rand.IntN(10))
		if err := other.tryCommit(batch); err != nil {
			h.fatalf("Put = %v", err)
		}
		h.entered(batch)
	}
	h.check()
	other.abandon()
	other.openIdle()
	h.check()
	other.abandon()
	intact(p.t, h.path)
}

// goOn goes on with another file.
func (p *power) goOn(image []byte) {
	p.steps = append(p.steps, "lose power")
	p.abandon()
	p.image(p.path, image)
	intact(p.t, p.path)
	p.openIdle()
	p.states = []state{p.oneOf(p.foundState())}
}

// oneOf asserts that a state is that before or after what was written last.
func (p *power) oneOf(found state) state {
	if !p.states[0].same(found) && !p.now().same(found) {
		p.fatalf("there are %d records and cursor %q, neither as before nor as after:\n%+v\n%+v\n%+v",
			len(found.records), found.cursor, found.sorted(), p.states[0].sorted(), p.now().sorted())
	}
	return found
}

func (p *power) image(path string, content []byte) {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		p.fatalf("%v", err)
	}
}
