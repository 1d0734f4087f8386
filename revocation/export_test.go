package revocation

// Suspect puts a false positive into the index.
func (d *Denylist) Suspect(key Key) { d.indexes.of(key.Kind).add(&key, MaxExpires) }

// Cached waits until the cache has taken what was put into it, and says whether
// it holds a record of the key.
func (d *Denylist) Cached(key Key) bool {
	d.cache.entries.Wait()
	_, ok := d.cache.get(&key)
	return ok
}

// SweepIndex is the part of Sweep that leaves the store alone.
func (d *Denylist) SweepIndex() { d.sweepIndex() }

// MaxTrials is how many dry runs are counted.
const MaxTrials = maxTrials

// MaxShares is how many clients are counted.
const MaxShares = maxShares

// ShareSizes is how many clients are counted, and the most counts of one.
func (d *Denylist) ShareSizes() (clients, ends int) {
	for _, t := range d.shares.byClient {
		ends = max(ends, len(t.ends))
	}
	return len(d.shares.byClient), ends
}
