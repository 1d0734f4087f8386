package boltstore

import (
	"bytes"
	"slices"
	"sync"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// recent is what the journal holds, in memory. Where it has a key, what stands among
// the records does not count. With it goes the cursor, so that whoever sees one sees
// its records too.
type recent struct {
	mu      sync.RWMutex // changes are made by whoever holds the store's writing; only sort need not
	growing changes
	moving  changes // older; stays as it is until all of it is among the records
	sorted  []entry // moving, in the order of the keys; nil until it is sorted
	cursor  []byte
}

// changes are what stands for keys: as it is stored, or empty if there is no record
// any more.
type changes map[revocation.Key]string

// entry is one of them.
type entry struct {
	key   revocation.Key
	value string
}

func newRecent() *recent { return &recent{growing: changes{}} }

// get returns what stands for a key, if anything does.
func (r *recent) get(key revocation.Key) (value string, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if value, known = r.growing[key]; !known {
		value, known = r.moving[key]
	}
	return value, known
}

func (r *recent) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.growing) + len(r.moving)
}

// keep enters what was appended, and a cursor unless that is nil.
func (r *recent) keep(appended []entry, cursor []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range appended {
		r.growing[e.key] = e.value
	}
	if cursor != nil {
		r.cursor = cursor
	}
}

// turn has what has grown moved, once it is sorted.
func (r *recent) turn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.growing, r.moving, r.sorted = changes{}, r.growing, nil
}

// sort sorts what is to be moved. Others can go on meanwhile: that can take a tenth
// of a second.
func (r *recent) sort() {
	sorted := r.moving.from(revocation.Key{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sorted = sorted
}

// isMoving says whether anything has to be moved.
func (r *recent) isMoving() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.moving != nil
}

// moved forgets what was moved: it is among the records now.
func (r *recent) moved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moving, r.sorted = nil, nil
}

// from are the entries from a key on as they are now, in order.
func (r *recent) from(key revocation.Key) []entry {
	r.mu.RLock()
	growing := r.growing.unsorted(key)
	moving, sorted := r.moving, r.sorted
	r.mu.RUnlock()
	sort(growing)
	if sorted == nil {
		return merge(growing, moving.from(key))
	}
	first, _ := slices.BinarySearchFunc(sorted, key, func(e entry, key revocation.Key) int { return e.key.Compare(key) })
	return merge(growing, sorted[first:])
}

// merge merges two lists in order. Where both have a key, the first counts.
func merge(a, b []entry) []entry {
	if len(b) == 0 {
		return a
	}
	list := make([]entry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].key.Compare(b[0].key); {
		case c < 0:
			list, a = append(list, a[0]), a[1:]
		case c > 0:
			list, b = append(list, b[0]), b[1:]
		default:
			b = b[1:]
		}
	}
	return append(append(list, a...), b...)
}

func (c changes) from(key revocation.Key) []entry {
	list := c.unsorted(key)
	sort(list)
	return list
}

func (c changes) unsorted(from revocation.Key) []entry {
	list := make([]entry, 0, len(c))
	for key, value := range c {
		if key.Compare(from) >= 0 {
			list = append(list, entry{key, value})
		}
	}
	return list
}

func sort(list []entry) {
	slices.SortFunc(list, func(a, b entry) int { return a.key.Compare(b.key) })
}

// keptCursor is a copy of the cursor, nil if there is none.
func (r *recent) keptCursor() []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return bytes.Clone(r.cursor)
}
