package cluster

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	// maxWaiting bounds the revocations that wait for the engine.
	maxWaiting = 4096
	// applyTimeout bounds how long a batch may take; less than a client waits.
	applyTimeout = 4 * time.Second
)

// publication is records that wait to be published, and who waits for it.
type publication struct {
	records []revocation.Record
	done    chan error    // has room for one
	came    chan struct{} // is closed when all of them have come by
	missing int           // of them; guarded by awaited
}

// publish implements [revocation.Publish]. A lone call does not wait for company;
// what comes while a batch is under way shares the next.
func (n *Node) publish(ctx context.Context, records []revocation.Record) error {
	p := &publication{records: records, done: make(chan error, 1), came: make(chan struct{})}
	n.awaited.add(p)
	defer n.awaited.forget(p)
	err := n.published(ctx, p)
	if err != nil {
		n.owed.add(refusing(records))
		return fmt.Errorf("publishing: %w", err)
	}
	return nil
}

// published queues a publication, and returns once the engine has it and it has
// come by, or that is in doubt.
func (n *Node) published(ctx context.Context, p *publication) error {
	select {
	case n.queue <- p:
	default:
		return revocation.ErrBusy
	}
	timer := time.NewTimer(2 * applyTimeout) // in which what is before it ends, too
	defer timer.Stop()
	done, came := p.done, p.came
	for done != nil || came != nil {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			done = nil
			timer.Reset(applyTimeout)
		case <-came:
			came = nil
		case <-timer.C:
			return context.DeadlineExceeded
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-n.ctx.Done():
			return revocation.ErrClosed
		}
	}
	return nil
}

// refusing are those of the records that refuse something: what somebody failed
// to restore is not restored later.
func refusing(records []revocation.Record) (list []revocation.Record) {
	for i := range records {
		if records[i].Effect == revocation.Refuse {
			list = append(list, records[i])
		}
	}
	return list
}

// keepPublishing sends batches until ctx ends, one after the other: each costs the
// engine as much as a large one does, and those who follow it.
func (n *Node) keepPublishing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-n.queue:
			n.publishBatch(ctx, n.gather(first))
		}
	}
}

// gather takes along what is waiting, and what is about to: those who waited for one
// batch go on together, and the first of them would have the next for itself.
func (n *Node) gather(first *publication) []*publication {
	batch, records := []*publication{first}, len(first.records)
	for yielded := false; records < MaxBatch; {
		select {
		case p := <-n.queue:
			batch, records = append(batch, p), records+len(p.records)
			yielded = false
		default:
			if yielded {
				return batch
			}
			runtime.Gosched()
			yielded = true
		}
	}
	return batch
}

func (n *Node) publishBatch(ctx context.Context, batch []*publication) {
	var records []revocation.Record
	for _, p := range batch {
		records = append(records, p.records...)
	}
	err := n.applyAll(ctx, records)
	for _, p := range batch {
		p.done <- err
	}
}

// applyAll is apply for any number of records.
func (n *Node) applyAll(ctx context.Context, records []revocation.Record) error {
	for len(records) > 0 {
		some := records[:min(len(records), MaxBatch)]
		if err := n.apply(ctx, some); err != nil {
			return err
		}
		records = records[len(some):]
	}
	return nil
}

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

// pay sends again some of what did not reach the cluster. It is owed until it has come
// by. What was not taken is not tried again before all else.
func (n *Node) pay(ctx context.Context) error {
	records := n.owed.first()
	if len(records) == 0 {
		return nil
	}
	p := &publication{records: records, came: make(chan struct{})}
	n.awaited.add(p)
	defer n.awaited.forget(p)
	if err := n.apply(ctx, records); err != nil {
		n.owed.later(len(records))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.came:
		n.owed.paid(len(records))
		return nil
	}
}
