package revocation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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
	for range maxOutweighed {
		err := d.decide(ctx, records)
		if err == nil {
			records, err = d.outweighed(records)
		}
		if err != nil || len(records) == 0 {
			return err
		}
	}
	return fmt.Errorf("revoking: %w: others restore it again and again", ErrBusy)
}

// maxOutweighed is how often a revocation is decided again because another node
// restored the same meanwhile.
const maxOutweighed = 8

// outweighed returns the records that count less than what another node decided
// before them, and this one did not know yet; with the versions with which they
// count more. Only in a cluster there are any.
func (d *Denylist) outweighed(records []Record) (list []Record, err error) {
	if !d.publishers.any() {
		return nil, nil
	}
	for _, r := range records {
		if d.plain(&r) {
			continue
		}
		stored, err := d.store.Get(r.Key)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("revoking: %w", err)
		case stored.Effect <= r.Effect || !d.Live(&r):
			continue
		}
		if err := d.follow(&r); err != nil {
			return nil, fmt.Errorf("revoking: %w", err)
		}
		list = append(list, r)
	}
	return list, nil
}

// follow gives a record the version with which it counts beside what is stored.
// The store has to be asked: it may know of a restoration that the index forgot
// because it has ended.
func (d *Denylist) follow(r *Record) error {
	if r.Key.Kind == KindUsed || d.plain(r) { // is never restored, or was not
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

// plain says whether a record is plainly revoked, as all that was ever stored of its
// kind. Then nothing counts more.
func (d *Denylist) plain(r *Record) bool {
	return r.plainly() && r.Key.Kind < kindCount && !d.kinds.other[r.Key.Kind].Load()
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
	return d.decide(ctx, records)
}

// decide makes records that were decided on here durable: in the store, and in the
// cluster, if there is one. Published is also received, and so stored. What is not
// published in time is stored meanwhile, and kept whatever becomes of it; but what
// refuses nothing is left to the cluster: only what all nodes know of may let pass
// here. The caller is using the store.
func (d *Denylist) decide(ctx context.Context, records []Record) error {
	live, err := d.live(records, 0)
	if err != nil || len(live) == 0 {
		return err
	}
	if !d.volatile {
		if alone, err := d.publishers.alone(func() error { return d.decideAlone(ctx, live) }); alone {
			return err
		}
	}
	store := sync.OnceValue(func() error {
		d.apart.Add(1)
		local, cancel := outlast(ctx, localTimeout)
		defer cancel()
		return d.putUnpublished(local, refusing(live))
	})
	late := time.AfterFunc(publishTime, func() { _ = store() })
	away := d.publishers.publish(ctx, live)
	if late.Stop() && away == nil {
		return nil
	}
	err = store() // or what has become of it
	d.apart.Add(-1)
	switch {
	case away == nil:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("revoking: %w: %w", ErrAway, away)
}

// putUnpublished makes records durable that the cluster may not have. The cursor is
// void then, also after a crash: all that the cluster has shows what it lacks.
func (d *Denylist) putUnpublished(ctx context.Context, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	return d.put(ctx, Batch{Records: records, Cursor: NoCursor})
}

// publishTime is how long a revocation may be on its way through the cluster before
// it is stored, and so enforced, here without it: to store it twice costs as much as
// another.
const publishTime = 100 * time.Millisecond

func refusing(records []Record) (list []Record) {
	for i := range records {
		if records[i].Effect == Refuse {
			list = append(list, records[i])
		}
	}
	return list
}

// localTimeout is how much longer than its caller waits a revocation that is on its
// way to the cluster may take to become durable here: what the cluster has by then,
// nobody knows.
const localTimeout = 5 * time.Second

// outlast is a context that ends some time after another.
func outlast(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-longer.Done():
		case <-time.After(by):
			cancel()
		}
	})
	return longer, func() { stop(); cancel() }
}

// decideAlone makes records durable that no cluster has. A cursor from when there
// was one is void then: the next has to be sent them.
func (d *Denylist) decideAlone(ctx context.Context, live []Record) error {
	batch := Batch{Records: live}
	cursor, err := d.store.Cursor()
	switch {
	case err != nil:
		return fmt.Errorf("revoking: %w", err)
	case len(cursor) > 0:
		batch.Cursor = NoCursor
	}
	return d.put(ctx, batch)
}

// live returns the records that are live, or were some time ago, as they can be
// stored.
func (d *Denylist) live(records []Record, ago time.Duration) ([]Record, error) {
	now, leeway := d.now().Add(-ago), time.Duration(d.leeway.Load())
	live := make([]Record, 0, len(records))
	for _, r := range records {
		r, err := r.normal()
		if err != nil {
			return nil, fmt.Errorf("revoking: %w", err)
		}
		if r.live(now, leeway) {
			live = append(live, r)
			d.kinds.meets(&r)
		}
	}
	return live, nil
}

// put stores a batch and lets the index know. The caller is using the store.
func (d *Denylist) put(ctx context.Context, batch Batch) error {
	now, live := d.now(), batch.Records
	if d.publishers.any() { // and what others have forgotten must not count here
		batch.Forgotten = d.forgotten()
	}
	err := d.store.Put(ctx, batch)
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
