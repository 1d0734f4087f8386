package revocation

import (
	"context"
	"fmt"
	"time"
)

// Index and shares forget every minute. The store is gone through less often, as
// that means reading all of it.
const (
	sweepEvery = time.Minute
	dropEvery  = 15 * time.Minute
)

// Sweep forgets the records that ended more than the leeway ago, in the index
// and in the store, which in a cluster keeps them an hour longer. The denylist does
// so by itself; an expired record refuses nothing in any case.
func (d *Denylist) Sweep(ctx context.Context) error {
	d.sweepIndex()
	return d.sweepStore(ctx)
}

func (d *Denylist) ended() time.Time { return d.now().Add(-time.Duration(d.leeway.Load())) }

func (d *Denylist) sweepIndex() {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	d.indexes.sweep(d.ended())
	d.shares.sweep(d.now())
	d.trials.sweep(d.ended())
	d.cache.sweep()
}

func (d *Denylist) sweepStore(ctx context.Context) error {
	if _, err := d.store.Drop(ctx, d.forgotten()); err != nil {
		return fmt.Errorf("dropping expired records: %w", err)
	}
	return nil
}

// keepSweeping runs until ctx ends. Close waits for it before it closes the store.
func (d *Denylist) keepSweeping(ctx context.Context) {
	defer close(d.stopped)
	index, store := time.NewTicker(sweepEvery), time.NewTicker(dropEvery)
	defer index.Stop()
	defer store.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-index.C:
			d.sweepIndex()
		case <-store.C:
			if err := d.sweepStore(ctx); err != nil && ctx.Err() == nil {
				(*d.failed.Load())(err)
			}
		}
	}
}
