package cluster

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/kamstrup/intmap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// seen is a set of records that the feed has, by a hash of all that they say, in
// some 13 bytes each. Of n records, one that the feed lacks is taken for one that
// it has with a probability of n / 2^64; each node has a seed of its own.
type seen struct {
	seed maphash.Seed

	mu     sync.Mutex
	hashes *intmap.Set[uint64]
	more   chan struct{} // closed when something is added
}

func newSeen() *seen {
	return &seen{seed: maphash.MakeSeed(), hashes: intmap.NewSet[uint64](1024), more: make(chan struct{})}
}

func (s *seen) hash(r *revocation.Record) uint64 {
	key := r.Key.Bytes()
	return maphash.Bytes(s.seed, r.AppendValue(key[:]))
}

func (s *seen) add(records []revocation.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		s.hashes.Add(s.hash(&records[i]))
	}
	close(s.more)
	s.more = make(chan struct{})
}

// await waits until the set has a record, or ctx ends.
func (s *seen) await(ctx context.Context, r *revocation.Record) {
	for {
		s.mu.Lock()
		has, more := s.hashes.Has(s.hash(r)), s.more
		s.mu.Unlock()
		if has {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		}
	}
}

// lacks returns those of the records that the set does not have.
func (s *seen) lacks(records []revocation.Record) (list []revocation.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		if !s.hashes.Has(s.hash(&records[i])) {
			list = append(list, records[i])
		}
	}
	return list
}
