package revocation

// Stats describe a denylist.
type Stats struct {
	// Records is how many records are live, by kind; those that were restored
	// count until they end. Two keys that share a fingerprint count once.
	Records map[Kind]int
	// IndexBytes is what their fingerprints and the spare room take.
	IndexBytes int
	// CacheHits is how many suspected keys were found in the cache since the
	// denylist was opened, and CacheMisses how many had to be asked of the store.
	CacheHits, CacheMisses uint64
}

// Total is the number of live records of all kinds.
func (s Stats) Total() (n int) {
	for _, records := range s.Records {
		n += records
	}
	return n
}

// Stats counts; it takes the time of some thousand locks.
func (d *Denylist) Stats() Stats {
	s := Stats{Records: make(map[Kind]int, kindCount)}
	for kind, x := range d.indexes {
		records, bytes := x.size()
		if records > 0 {
			s.Records[Kind(kind)] = records
		}
		s.IndexBytes += bytes
	}
	s.CacheHits, s.CacheMisses = d.cache.hits.Load(), d.cache.misses.Load()
	return s
}
