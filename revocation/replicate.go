package revocation

import (
	"context"
	"fmt"
)

// Publish makes records durable for all nodes of a cluster: when it returns nil,
// every other node will know them, and until then they are promised to nobody.
// Trying again is safe.
type Publish func(ctx context.Context, records []Record) error

// Join has every revocation and restoration that is decided on here published
// before it is stored. What cannot be published is stored and enforced here all
// the same, and the error is [ErrAway]. Nil is no cluster.
func (d *Denylist) Join(publish Publish) {
	if publish == nil {
		d.publish.Store(nil)
		return
	}
	d.publish.Store(&publish)
}

// Receive makes records durable that were decided on elsewhere, together with a
// cursor that says up to where this node knows what the others do, and enforces
// them. Records that have ended are left out. One that this version does not
// understand is [ErrInvalid], and nothing is received: what a newer version has
// revoked must not be passed over.
func (d *Denylist) Receive(ctx context.Context, records []Record, cursor []byte) error {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return fmt.Errorf("receiving: %w", ErrClosed)
	}
	live, err := d.live(records)
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	return d.put(ctx, Batch{Records: live, Cursor: cursor})
}

// Cursor is that of the last [Denylist.Receive] that had one, or nil.
func (d *Denylist) Cursor() ([]byte, error) {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return nil, ErrClosed
	}
	return d.store.Cursor()
}
