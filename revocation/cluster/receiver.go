package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

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
	held   []revocation.Record // delivered, and not stored yet; see hold

	whole    atomic.Bool // makeWhole does not run
	repaired atomic.Bool // it has sent all that was lacking

	busy     atomic.Bool  // with what was delivered: then the engine has to wait
	progress atomic.Int64 // when something was delivered last, since the node's base

	mu   sync.Mutex
	sent map[uint64]heartbeat // those that have not come by
}

type heartbeat struct {
	sent     time.Duration // since the node's base
	repaired bool          // that it was sent after the repair
}

// maxSent bounds how many heartbeats are waited for: of those that come even
// later nothing is learned.
const maxSent = 1024

func newReceiver(ctx context.Context, n *Node) *receiver {
	n.begun()
	r := &receiver{node: n, sent: make(map[uint64]heartbeat)}
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
	r.seen = newSeen()
	if err := r.node.list.Receive(r.ctx, nil, revocation.NoCursor); err != nil {
		return fmt.Errorf("giving up the cursor: %w", err)
	}
	r.moved()
	return nil
}

// Deliver implements [Receiver].
func (r *receiver) Deliver(ctx context.Context, records []revocation.Record, cursor []byte) error {
	r.node.received(len(records))
	if cursor != nil {
		r.cursor = cursor
	}
	defer r.working()()
	if r.seen == nil {
		err := r.node.list.Receive(ctx, records, cursor)
		if err == nil {
			r.node.awaited.came(records)
		}
		return err
	}
	r.seen.add(records)
	r.held = append(r.held, records...)
	if !r.level && len(r.held) < maxHeld {
		return nil
	}
	return r.store(ctx)
}

// maxHeld bounds the records that are held back to be stored together, until the
// node is level: few large commits are much cheaper than many small ones, as each
// has records from all over the file.
const maxHeld = 64 << 10

// store stores what is held back.
func (r *receiver) store(ctx context.Context) error {
	err := r.node.list.Receive(ctx, r.held, nil)
	if err == nil {
		r.node.awaited.came(r.held)
	}
	clear(r.held) // of its texts
	r.held = r.held[:0]
	return err
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
	if len(r.held) > 0 {
		if err := r.store(r.ctx); err != nil {
			return err
		}
	}
	if r.seen == nil && r.node.owed.forgotten() {
		return errForgotten
	}
	if !r.level || r.node.owed.count() > 0 && r.whole.Load() {
		r.level = true
		r.whole.Store(false)
		seen := r.seen
		r.helpers.Go(func() { r.makeWhole(seen) })
	}
	// What was repaired has come by before a heartbeat that was sent later. Only then
	// the cursor stands behind it, and it would be found out if it were lost again.
	if r.seen != nil && heard.repaired {
		r.seen = nil
		if err := r.node.list.Receive(r.ctx, nil, r.cursor); err != nil {
			return fmt.Errorf("keeping the cursor: %w", err)
		}
	}
	r.node.heard(heard.sent)
	return nil
}

// errForgotten ends a Sync so that the next delivers all that the feed has, and
// shows what it lacks.
var errForgotten = errors.New("more did not reach the cluster than could be remembered")

// makeWhole sends the cluster what it lacks, once the node is level: all of it, if
// it is known what the feed has, and what did not reach it before.
func (r *receiver) makeWhole(seen *seen) {
	defer r.whole.Store(true)
	if seen != nil && !r.repaired.Load() {
		if err := r.repair(seen); err != nil {
			r.end(fmt.Errorf("repairing: %w", err))
			return
		}
		r.repaired.Store(true)
	}
	// What is still owed is sent with the next heartbeat: an engine that takes nothing
	// more has much to tell all the same.
	_ = r.node.pay(r.ctx)
}

var errSilence = errors.New("the engine has been silent")

// keepBeating sends heartbeats until ctx ends, and ends the Sync if nothing comes
// of them. One that could not be sent is followed sooner: the node is level only
// once one has come by.
func (r *receiver) keepBeating() {
	options := &r.node.options
	for beat := rand.Uint64(); ; beat++ {
		wait := options.Beat
		err := r.beat(r.ctx, beat)
		if err != nil {
			wait /= 4
		}
		if sleep(r.ctx, wait); r.ctx.Err() != nil {
			return
		}
		if !r.busy.Load() && r.node.elapsed()-time.Duration(r.progress.Load()) > options.Silence {
			r.end(silent(err))
			return
		}
	}
}

// silent is why a Sync of which nothing came has ended: also that the last
// heartbeat failed, if it did.
func silent(beat error) error {
	if beat == nil {
		return errSilence
	}
	return fmt.Errorf("%w: %w", errSilence, beat)
}

// beat sends one. That it fails shows in that none comes by, and says why.
func (r *receiver) beat(ctx context.Context, beat uint64) error {
	r.mu.Lock()
	if len(r.sent) >= maxSent {
		clear(r.sent)
	}
	r.sent[beat] = heartbeat{sent: r.node.elapsed(), repaired: r.repaired.Load()}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, r.node.options.Silence)
	defer cancel()
	return r.node.engine.Beat(ctx, beat)
}
