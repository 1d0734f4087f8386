package cluster

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	// maxWaiting bounds the revocations that wait for the engine.
	maxWaiting = 4096
	// applyTimeout bounds how long a batch may take; less than a client waits.
	applyTimeout = 4 * time.Second
	// comesSoon is how long the next batch waits for one to come by. Where the disk
	// takes longer, it may as well be under way meanwhile.
	comesSoon = 10 * time.Millisecond
)

// publication is records that wait to be published, and who waits for it.
type publication struct {
	records []revocation.Record
	done    chan error  // has room for one
	gone    atomic.Bool // nobody waits any more
}

// publish implements [revocation.Publish]. A lone call does not wait for company;
// what comes while a batch is under way shares the next.
func (n *Node) publish(ctx context.Context, records []revocation.Record) error {
	p := &publication{records: records, done: make(chan error, 1)}
	err := n.published(ctx, p)
	if err != nil {
		p.gone.Store(true)
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
	timer := time.NewTimer(3 * applyTimeout) // in which what is before it ends, too
	defer timer.Stop()
	select {
	case err := <-p.done:
		return err
	case <-timer.C:
		return context.DeadlineExceeded
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.ctx.Done():
		return revocation.ErrClosed
	}
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
// batch go on together, and the first of them would have the next for itself. What was
// given up meanwhile is owed, or was a restoration that has failed.
func (n *Node) gather(first *publication) (batch []*publication) {
	records := 0
	take := func(p *publication) {
		if !p.gone.Load() {
			batch, records = append(batch, p), records+len(p.records)
		}
	}
	take(first)
	for yielded := false; records < MaxBatch; {
		select {
		case p := <-n.queue:
			take(p)
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

// publishBatch sends a batch, and waits a little for it to come by: whoever waits for
// it is about to go on with more, which then shares the next.
func (n *Node) publishBatch(ctx context.Context, batch []*publication) {
	records := make([]revocation.Record, 0, len(batch)) // mostly one of each
	for _, p := range batch {
		records = append(records, p.records...)
	}
	answer := func(err error) {
		for _, p := range batch {
			p.done <- err
		}
	}
	arrival := n.awaited.add(records)
	if err := n.applyAll(ctx, records); err != nil {
		n.awaited.forget(arrival)
		answer(err)
		return
	}
	timer := time.NewTimer(comesSoon)
	defer timer.Stop()
	select {
	case <-arrival.came:
		answer(nil)
	case <-timer.C:
		n.workers.Go(func() { answer(n.awaited.wait(ctx, arrival)) })
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
