package revocation

import (
	"fmt"

	"github.com/dgraph-io/ristretto/v2"
)

// recordCost is about what a cached record takes beside its texts, in bytes:
// ristretto's own entry and the record.
const recordCost = 256

// cache keeps the records that are being asked for, so that a flood of requests
// with a revoked token does not become a flood of reads. It drops writes under
// load and evicts as it likes: only what it finds counts, never that it does
// not find.
type cache struct {
	entries *ristretto.Cache[uint64, *Record]
	index   *index // whose secret hash makes the keys
}

func newCache(bytes int64, x *index) (*cache, error) {
	entries, err := ristretto.NewCache(&ristretto.Config[uint64, *Record]{
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

// get returns a record of exactly this key: ristretto does not compare integer
// keys beyond their hash, so this does.
func (c *cache) get(key *Key) (*Record, bool) {
	r, ok := c.entries.Get(c.index.hash(key))
	if !ok || r.Key != *key {
		return nil, false
	}
	return r, true
}

func (c *cache) put(r *Record) {
	c.entries.Set(c.index.hash(&r.Key), r, int64(recordCost+len(r.By)+len(r.Reason)))
}

func (c *cache) resize(bytes int64) { c.entries.UpdateMaxCost(bytes) }

// close must come after the last get and put: ristretto panics on a later Set.
func (c *cache) close() { c.entries.Close() }
