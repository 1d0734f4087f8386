package revocation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Publish makes records durable for all nodes of a cluster: when it returns nil,
// every other node will know them, and this one has received them (see
// [Denylist.Receive]) with all that was published before. Until then they are
// promised to nobody. Trying again is safe.
type Publish func(ctx context.Context, records []Record) error

// Join has every revocation and restoration that is decided on here published,
// until leave is called. What cannot be published, or not soon, and refuses
// something is stored and enforced here all the same, and the error is [ErrAway] in
// the end; all else is left to [Denylist.Receive]. While a denylist has
// joined more than one cluster, each has to have what is promised.
func (d *Denylist) Join(publish Publish) (leave func()) {
	return d.publishers.add(publish)
}

// publishers are the clusters that a denylist is part of.
type publishers struct {
	mu   sync.RWMutex
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

func (p *publishers) publish(ctx context.Context, records []Record) (err error) {
	list := p.list.Load()
	if list == nil {
		return errors.New("the cluster was left")
	}
	for _, publish := range *list {
		err = errors.Join(err, (*publish)(ctx, records))
	}
	return err
}

// any says whether there is one.
func (p *publishers) any() bool { return p.list.Load() != nil }

// alone calls f if there is none, and lets none be added meanwhile.
func (p *publishers) alone(f func() error) (alone bool, err error) {
	if p.any() {
		return false, nil
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.any() {
		return false, nil
	}
	return true, f()
}

// NoCursor is a cursor for [Denylist.Receive] that stands for none: what is stored
// is void.
var NoCursor = []byte{}

// Receive makes records durable that were decided on elsewhere, together with a
// cursor that says up to where this node knows what the others do, and enforces
// them. Records that have ended long ago are left out. One that this version does not
// understand is [ErrInvalid], and nothing is received: what a newer version has
// revoked must not be passed over. While something is stored here that is still being
// published, no cursor is kept: after a crash, only that shows what the cluster lacks.
func (d *Denylist) Receive(ctx context.Context, records []Record, cursor []byte) error {
	return d.receive(ctx, Batch{Records: records, Cursor: cursor})
}

// ReceiveLazily is as Receive, but the records are durable only some moments after it
// has returned, with the cursor: what a crash takes, the cluster sends again.
func (d *Denylist) ReceiveLazily(ctx context.Context, records []Record, cursor []byte) error {
	return d.receive(ctx, Batch{Records: records, Cursor: cursor, Lazy: true})
}

func (d *Denylist) receive(ctx context.Context, batch Batch) (err error) {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return fmt.Errorf("receiving: %w", ErrClosed)
	}
	if batch.Records, err = d.live(batch.Records, remembered); err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	if len(batch.Cursor) == 0 {
		return d.put(ctx, batch)
	}
	if d.apart.Load() > 0 {
		batch.Cursor = nil
	}
	if err := d.put(ctx, batch); err != nil || batch.Cursor == nil || d.apart.Load() == 0 {
		return err
	}
	return d.put(ctx, Batch{Cursor: NoCursor}) // something was stored meanwhile
}

// remembered is how long a node of a cluster remembers what has ended. Others, with
// clocks that differ, may take it for live and, of a restoration, let it count more
// than what is decided here without knowing of it.
const remembered = time.Hour

// forgotten is the time before which what ended is not even remembered.
func (d *Denylist) forgotten() time.Time {
	if d.publishers.any() {
		return d.ended().Add(-remembered)
	}
	return d.ended()
}

// Cursor is that of the last [Denylist.Receive] that had one; nil if none had, or it
// is void.
func (d *Denylist) Cursor() ([]byte, error) {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return nil, ErrClosed
	}
	cursor, err := d.store.Cursor()
	if err != nil || len(cursor) == 0 {
		return nil, err
	}
	return cursor, nil
}
