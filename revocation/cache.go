package revocation

import (
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// recordCost is about what a cached record takes beside its texts, in bytes:
// ristretto's own entry and the record.
const recordCost = 256

// cache keeps the records that are being asked for, so that a flood of requests
// with a revoked token does not become a flood of reads. It drops writes under
// load and evicts as it likes: only what it finds counts, never that it does
// not find.
//
// What it finds has to be what the store has, but for an end that was moved. When
// a record changes in any other way, all that is cached is outdated at once,
// also what some reader has got from the store before and is about to put here.
// That is rare, as operators do it.
type cache struct {
	entries *ristretto.Cache[uint64, *cached]
	index   *index // whose secret hash makes the keys
	current atomic.Uint64
	unsure  atomic.Int32 // how many sweeps will outdate it

	hits, misses atomic.Uint64
}

type cached struct {
	record     Record
	generation uint64
}

func newCache(bytes int64, x *index) (*cache, error) {
	entries, err := ristretto.NewCache(&ristretto.Config[uint64, *cached]{
		NumCounters: max(10*bytes/recordCost, 1000), // ten times what fits, as ristretto advises
		MaxCost:     bytes,
		BufferItems: 64,
		// The costs are bytes and count ristretto's share already.
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	return &cache{entries: entries, index: x}, nil
}

// generation is to be taken before the store is asked for what is to be put.
func (c *cache) generation() uint64 { return c.current.Load() }

// outdate forgets everything.
func (c *cache) outdate() { c.current.Add(1) }

// doubtSweeps is for how many sweeps, which come once a minute, a change that was
// given up may still come true.
const doubtSweeps = 5

// doubt says that a change was given up that the store may make all the same, when
// nobody will tell.
func (c *cache) doubt() { c.unsure.Store(doubtSweeps) }

// sweep outdates what is in doubt.
func (c *cache) sweep() {
	if left := c.unsure.Load(); left > 0 {
		c.unsure.CompareAndSwap(left, left-1) // unless there is a new doubt
		c.outdate()
	}
}

// get returns a record of exactly this key: ristretto does not compare integer
// keys beyond their hash, so this does.
func (c *cache) get(key *Key) (*Record, bool) {
	entry, ok := c.entries.Get(c.index.hash(key))
	if !ok || entry.record.Key != *key || entry.generation != c.current.Load() {
		c.misses.Add(1)
		return nil, false
	}
	c.hits.Add(1)
	return &entry.record, true
}

func (c *cache) put(r *Record, generation uint64) {
	cost := recordCost
	for _, text := range r.texts() {
		cost += len(*text)
	}
	c.entries.Set(c.index.hash(&r.Key), &cached{*r, generation}, int64(cost))
}

func (c *cache) resize(bytes int64) { c.entries.UpdateMaxCost(bytes) }

// close must come after the last get and put: ristretto panics on a later Set.
func (c *cache) close() { c.entries.Close() }
