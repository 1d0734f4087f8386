package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// receiver is one Sync of a node.
type receiver struct {
	node *Node
	ctx  context.Context // of the Sync
	end  context.CancelCauseFunc

	helpers sync.WaitGroup

	level bool
	// seen is what the feed has, while all of it is being delivered and until what
	// it lacks has been repaired; else nil. Until then no cursor is kept: after a
	// crash everything begins anew.
	seen   *seen
	cursor []byte
	held   hold

	doubt     *doubt
	repairing atomic.Bool   // there is something that the feed may lack; also before makeWhole runs
	answering atomic.Bool   // an answer is about to be sent
	early     chan struct{} // has a heartbeat sent at once

	repaired atomic.Bool // makeWhole has sent all that was lacking
	paying   atomic.Bool // payAll runs

	busy     atomic.Bool  // with what was delivered: then the engine has to wait
	progress atomic.Int64 // when something was delivered last, since the node's base

	mu   sync.Mutex
	sent map[uint64]heartbeat // those that have not come by
}

func newReceiver(ctx context.Context, n *Node) *receiver {
	n.begun()
	r := &receiver{node: n, doubt: n.newDoubt(), early: make(chan struct{}, 1), sent: make(map[uint64]heartbeat)}
	r.ctx, r.end = context.WithCancelCause(ctx)
	r.moved()
	return r
}

func (r *receiver) moved() { r.progress.Store(int64(r.node.elapsed())) }

// Snapshot implements [Receiver]. The cursor is void from here on, also after a
// crash: should the engine be put back to the data of which it was, what this node
// has learned meanwhile is not in them.
func (r *receiver) Snapshot(why string) error {
	r.node.snapshot(why)
	r.seen, r.cursor = newSeen(), nil
	if err := r.node.list.Receive(r.ctx, nil, revocation.NoCursor); err != nil {
		return fmt.Errorf("giving up the cursor: %w", err)
	}
	knows, err := r.node.knowsAny(r.ctx)
	if err != nil {
		return err
	}
	r.repairing.Store(knows)
	select {
	case r.early <- struct{}{}: // for the others to hear it soon
	default:
	}
	r.moved()
	return nil
}

// Deliver implements [Receiver].
func (r *receiver) Deliver(ctx context.Context, records []revocation.Record, cursor []byte) error {
	r.node.received(len(records))
	defer r.working()()
	if r.seen == nil {
		return r.keep(ctx, records, cursor)
	}
	if cursor != nil {
		r.cursor = cursor
	}
	r.seen.add(records)
	if r.level {
		return r.store(ctx, records)
	}
	r.held.add(records)
	if !r.held.full() {
		return nil
	}
	return r.storeHeld(ctx)
}

// keep stores records and a cursor. While something is owed the cursor stays void:
// after a crash, only that shows that the cluster lacks something.
func (r *receiver) keep(ctx context.Context, records []revocation.Record, cursor []byte) error {
	kept := cursor
	if r.node.owed.any() {
		kept = nil
	}
	// What another node was asked for is durable there and in the cluster: that
	// suffices until many share what it costs to be durable here.
	awaited := r.node.awaited.any(records)
	receive := r.node.list.ReceiveLazily
	if awaited {
		receive = r.node.list.Receive
	}
	if err := receive(ctx, records, kept); err != nil {
		return err
	}
	if cursor != nil {
		r.cursor = cursor
	}
	if awaited { // what is awaited since then comes by again, and is durable then
		r.node.awaited.came(records)
	}
	if kept != nil && r.node.owed.any() { // by now
		return r.node.list.Receive(ctx, nil, revocation.NoCursor)
	}
	return nil
}

// keepCursor keeps the cursor of what was delivered, if the one in the store is void.
func (r *receiver) keepCursor() error {
	if r.cursor == nil {
		return nil
	}
	if stored, err := r.node.list.Cursor(); err != nil || stored != nil {
		return err
	}
	return r.keep(r.ctx, nil, r.cursor)
}

// store stores records without a cursor.
func (r *receiver) store(ctx context.Context, records []revocation.Record) error {
	err := r.node.list.Receive(ctx, records, nil)
	if err == nil {
		r.node.awaited.came(records)
	}
	return err
}

func (r *receiver) storeHeld(ctx context.Context) error {
	return r.held.empty(func(records []revocation.Record) error { return r.store(ctx, records) })
}

// working says that the engine is not to blame for what takes time, until done.
func (r *receiver) working() (done func()) {
	r.busy.Store(true)
	return func() {
		r.moved()
		r.busy.Store(false)
	}
}

// Beat implements [Receiver].
func (r *receiver) Beat(beat uint64) error {
	defer r.working()()
	r.mu.Lock()
	heard, own := r.sent[beat]
	delete(r.sent, beat)
	r.mu.Unlock()
	if !own { // of an earlier Sync
		return nil
	}
	if err := r.storeHeld(r.ctx); err != nil {
		return err
	}
	if r.seen == nil && r.node.owed.forgotten() {
		return errForgotten
	}
	if !r.level {
		r.level = true
		if seen := r.seen; seen != nil {
			r.helpers.Go(func() { r.makeWhole(seen) })
		}
	}
	if r.node.owed.count() > 0 && r.paying.CompareAndSwap(false, true) {
		r.helpers.Go(r.payAll)
	}
	// What was repaired has come by before a heartbeat that was sent later. Only then
	// the cursor stands behind it, and it would be found out if it were lost again.
	if r.seen != nil && heard.repaired {
		r.seen = nil
	}
	if r.seen == nil {
		if err := r.keepCursor(); err != nil {
			return fmt.Errorf("keeping the cursor: %w", err)
		}
	}
	now := r.node.elapsed()
	if !r.doubt.heartbeat(heard.sent.monotonic, now) {
		r.node.waits(r.doubt.waits(now))
		return nil
	}
	r.node.heard(heard.sent)
	return nil
}

// Note implements [Receiver].
func (r *receiver) Note(b []byte) error {
	n, ok := parseNote(b)
	if !ok {
		return nil
	}
	r.moved()
	r.doubt.note(n, r.node.elapsed())
	if n.what == noteQuestion && !r.repairing.Load() && r.answering.CompareAndSwap(false, true) {
		r.helpers.Go(r.answer)
	}
	return nil
}

// answer answers the last question, unless another node was faster.
func (r *receiver) answer() {
	sleep(r.ctx, rand.N(r.node.options.Beat/4+unhurried*r.node.lag()+1))
	r.answering.Store(false)
	if question, ok := r.doubt.unanswered(); ok && r.ctx.Err() == nil {
		r.node.tell(r.ctx, noteAnswer, question)
	}
}

// errForgotten ends a Sync so that the next delivers all that the feed has, and
// shows what it lacks.
var errForgotten = errors.New("more did not reach the cluster than could be remembered")

// makeWhole sends the cluster what it lacks of all that this node knows.
func (r *receiver) makeWhole(seen *seen) {
	if r.repair(seen) == nil {
		r.repaired.Store(true)
		r.repairing.Store(false)
	}
}
