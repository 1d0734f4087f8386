package revocation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Revoke makes records durable and enforces them: when it returns nil, the
// records survive a crash, and every later Check finds them, also of what was
// restored before. Records that have ended already are left out. After an error
// the records are enforced as far as they may have become durable, and trying
// again is safe.
func (d *Denylist) Revoke(ctx context.Context, records ...Record) error {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return fmt.Errorf("revoking: %w", ErrClosed)
	}
	records = slices.Clone(records)
	for i := range records {
		if err := d.follow(&records[i]); err != nil {
			return fmt.Errorf("revoking: %w", err)
		}
	}
	return d.put(ctx, records)
}

// follow gives a record the version with which it counts beside what is stored.
// The store has to be asked: it may know of a restoration that the index forgot
// because it has ended.
func (d *Denylist) follow(r *Record) error {
	if r.Key.Kind == KindUsed { // is never restored
		return nil
	}
	stored, err := d.store.Get(r.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	r.Version = max(r.Version, stored.Version)
	// What has ended decides nothing any more, though it may be stored for a while:
	// a dry run would become what it was, and a rule would have its IssuedBefore.
	if r.Effect != Restored && (stored.Effect == Restored || !d.Live(&stored)) {
		r.Version = max(r.Version, stored.Version+1)
	}
	return nil
}

// Apply makes records durable and enforces them as they are, such as records of
// another denylist: each becomes the [Merge] with what is known of its key, so
// that a revocation which was restored since stays restored. Otherwise it is as
// Revoke.
func (d *Denylist) Apply(ctx context.Context, records ...Record) error {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return fmt.Errorf("revoking: %w", ErrClosed)
	}
	return d.put(ctx, records)
}

// put stores the records that are live and lets the index know. The caller is
// using the store.
func (d *Denylist) put(ctx context.Context, records []Record) error {
	now, leeway := d.now(), time.Duration(d.leeway.Load())
	live := make([]Record, 0, len(records))
	for _, r := range records {
		r, err := r.normal()
		if err != nil {
			return fmt.Errorf("revoking: %w", err)
		}
		if r.live(now, leeway) {
			live = append(live, r)
			d.kinds.tries(&r)
		}
	}
	if len(live) == 0 {
		return nil
	}
	err := d.store.Put(ctx, Batch{Records: live})
	if errors.Is(err, ErrNotStored) {
		d.cache.outdate() // a store may have shown what it then did not keep
		return fmt.Errorf("revoking: %w", err)
	}
	// Whether stored or unknown: the index must suspect all that may be in the
	// store. If a record is not there after all, the check will find that out.
	stale := false
	for i := range live {
		r := &live[i]
		d.kinds.note(r.Key.Kind, r.Expires)
		mark := r.mark()
		if before, changed := d.indexes.of(r.Key.Kind).add(&mark, r.Expires); changed {
			d.shares.add(r, before, now)
		}
		stale = stale || !r.plainly() || d.kinds.tried[r.Key.Kind].Load()
	}
	if stale {
		d.cache.outdate()
	}
	if err != nil {
		d.cache.doubt()
		return fmt.Errorf("revoking: %w", err)
	}
	// The cache is left to the first check, which finds what the store has made
	// of all records of the key.
	return nil
}

// plainly says whether all that the record can do to one that is cached, and is no
// dry run, is to move its end, which a check finds out by itself.
func (r *Record) plainly() bool {
	return r.Effect == Refuse && r.Version == 0 && r.IssuedBefore.IsZero()
}
