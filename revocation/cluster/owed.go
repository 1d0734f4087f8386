package cluster

import (
	"context"
	"slices"
	"sync"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// owed is what did not reach the cluster, though this node enforces it.
type owed struct {
	room int // for so many records

	mu      sync.Mutex
	records []revocation.Record
	more    bool // than there was room for: only a repair finds them
}

func (o *owed) add(records []revocation.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.records)+len(records) > o.room {
		o.more = true
		return
	}
	o.records = append(o.records, records...)
}

// any says whether there is anything.
func (o *owed) any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.more || len(o.records) > 0
}

func (o *owed) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.records)
}

func (o *owed) forgotten() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.more
}

func (o *owed) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.more = true
}

// recall says whether something was forgotten, which the caller will find and send.
func (o *owed) recall() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	forgotten := o.more
	o.more = false
	return forgotten
}

// first are the first of them, as many as a batch has.
func (o *owed) first() []revocation.Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.records[:min(len(o.records), MaxBatch)])
}

// paid forgets the first records.
func (o *owed) paid(count int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.records = slices.Delete(o.records, 0, count); len(o.records) == 0 {
		o.records = nil
	}
}

// later puts the first records behind the others.
func (o *owed) later(count int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records = slices.Concat(o.records[count:], o.records[:count])
}

// payAll sends what did not reach the cluster before.
func (r *receiver) payAll() {
	defer r.paying.Store(false)
	wait := minRetry
	for r.ctx.Err() == nil && r.node.owed.count() > 0 {
		if r.node.pay(r.ctx) == nil {
			wait = minRetry
			continue
		}
		sleep(r.ctx, jitter(wait))
		wait = min(2*wait, maxRefused)
	}
}

// pay sends again some of what did not reach the cluster. It is owed until it has come
// by. What was not taken is not tried again before all else.
func (n *Node) pay(ctx context.Context) error {
	records := n.owed.first()
	if len(records) == 0 {
		return nil
	}
	arrival := n.awaited.add(records)
	if err := n.apply(ctx, records); err != nil {
		n.awaited.forget(arrival)
		n.owed.later(len(records))
		return err
	}
	if err := n.awaited.wait(ctx, arrival); err != nil {
		return err
	}
	n.owed.paid(len(records))
	return nil
}
