package revocation

import (
	"sync"
	"time"
)

// bulk gathers what is to enter an index by segment. Entered one by one, nearly
// every record would cost a whole memory access; a segment's table by itself
// fits into the processor's cache, and is made once, in the right size.
type bulk struct {
	index *index
	words [segmentCount][][]uint64 // in blocks, so that nothing is copied to make room
}

const bulkBlock = 512

func (b *bulk) add(key *Key, end time.Time) {
	n, tag := b.index.place(key)
	blocks := b.words[n]
	if last := len(blocks) - 1; last < 0 || len(blocks[last]) == bulkBlock {
		blocks = append(blocks, make([]uint64, 0, bulkBlock))
		b.words[n] = blocks
	}
	last := &blocks[len(blocks)-1]
	*last = append(*last, tag<<minuteBits|b.index.minute(end))
}

// bulks is a bulk for each kind of which there is something.
type bulks struct {
	indexes *indexes
	kinds   [kindCount]*bulk
}

func (b *bulks) add(key *Key, end time.Time) {
	kind := key.Kind
	if kind >= kindCount {
		kind = 0
	}
	if b.kinds[kind] == nil {
		b.kinds[kind] = &bulk{index: b.indexes[kind]}
	}
	b.kinds[kind].add(key, end)
}

func (x *indexes) fill(parts []*bulks) {
	for kind, of := range x {
		var gathered []*bulk
		for _, b := range parts {
			if b.kinds[kind] != nil {
				gathered = append(gathered, b.kinds[kind])
			}
		}
		of.fill(gathered)
	}
}

// fill enters what was gathered, with as many goroutines as there are parts.
func (x *index) fill(parts []*bulk) {
	var wg sync.WaitGroup
	for worker := range parts {
		wg.Go(func() {
			for n := worker; n < segmentCount; n += len(parts) {
				var blocks [][]uint64
				for _, b := range parts {
					blocks = append(blocks, b.words[n]...)
					b.words[n] = nil
				}
				x.segments[n].fill(blocks)
			}
		})
	}
	wg.Wait()
}

func (s *segment) fill(blocks [][]uint64) {
	if len(blocks) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.live
	for _, block := range blocks {
		n += len(block)
	}
	s.rebuild(n)
	for _, block := range blocks {
		for _, w := range block {
			s.enter(w>>minuteBits, w&lastMinute)
		}
	}
}
