package revocation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Publish makes records durable for all nodes of a cluster: when it returns nil,
// every other node will know them, and until then they are promised to nobody.
// Trying again is safe.
type Publish func(ctx context.Context, records []Record) error

// Join has every revocation and restoration that is decided on here published
// while it is stored, until leave is called. What cannot be published is stored and
// enforced here all the same, and the error is [ErrAway]. While a denylist has
// joined more than one cluster, each has to have what is promised.
func (d *Denylist) Join(publish Publish) (leave func()) {
	return d.publishers.add(publish)
}

// publishers are the clusters that a denylist is part of.
type publishers struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*Publish] // nil if there are none
}

func (p *publishers) add(publish Publish) (remove func()) {
	added := &publish
	p.change(func(list []*Publish) []*Publish { return append(list, added) })
	return func() {
		p.change(func(list []*Publish) []*Publish {
			return slices.DeleteFunc(list, func(one *Publish) bool { return one == added })
		})
	}
}

func (p *publishers) change(change func([]*Publish) []*Publish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*Publish
	if before := p.list.Load(); before != nil {
		list = slices.Clone(*before)
	}
	if list = change(list); len(list) == 0 {
		p.list.Store(nil)
		return
	}
	p.list.Store(&list)
}

func (p *publishers) any() bool { return p.list.Load() != nil }

func (p *publishers) publish(ctx context.Context, records []Record) (err error) {
	if list := p.list.Load(); list != nil {
		for _, publish := range *list {
			err = errors.Join(err, (*publish)(ctx, records))
		}
	}
	return err
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
