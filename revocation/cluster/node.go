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

// Options are how a node behaves in its cluster.
type Options struct {
	// Beat is how often a heartbeat is sent; 0 is a second.
	Beat time.Duration
	// Pause bounds the time from one heartbeat to the next where the engine is slow, which
	// else is eight times as long as a heartbeat takes to be sent; 0 is a third of Silence,
	// and that is the most.
	Pause time.Duration
	// Silence is how long a Sync may deliver nothing, not even the node's own
	// heartbeat, before it is ended and begun anew; 0 is ten beats.
	Silence time.Duration
	// Retry bounds the time from one Sync to the next, which grows and is random, so
	// that nodes do not all come back at once; 0 is two seconds.
	Retry time.Duration
	// Settle is how long after the begin of a Sync, or the last sign of a repair, a
	// node waits for others to say that the engine has lost something, unless a node
	// vouches for it that has waited before. It should be longer than all nodes need
	// to find an engine that was away; 0 is two and a half seconds.
	Settle time.Duration
	// Spread is over how much time nodes spread their repairs; 0 is two seconds.
	Spread time.Duration
	// Owed bounds the records that are remembered to be sent again after the cluster
	// was away; if there are more, everything is compared. 0 is 65,536.
	Owed int
	// Now is the clock, of which only differences matter; nil is time.Now.
	Now func() time.Time
	// Tell is told what happens, for logs; nil is nobody.
	Tell func(Event)
}

func (o *Options) setDefaults() {
	for _, option := range []struct {
		value   *time.Duration
		initial time.Duration
	}{
		{&o.Beat, time.Second},
		{&o.Silence, 10 * max(o.Beat, time.Second)},
		{&o.Retry, 2 * time.Second},
		{&o.Settle, 2500 * time.Millisecond},
		{&o.Spread, 2 * time.Second},
	} {
		if *option.value <= 0 {
			*option.value = option.initial
		}
	}
	if o.Pause <= 0 || o.Pause > o.Silence/3 {
		o.Pause = o.Silence / 3
	}
	if o.Owed <= 0 {
		o.Owed = 1 << 16
	}
	if o.Tell == nil {
		o.Tell = func(Event) {}
	}
}

// Event is something that happened to a node.
type Event struct {
	// What is "level" (everything is known again), "lost" (a Sync has ended),
	// "snapshot" (a cursor was of no use), "repaired" (a repair has ended that sent
	// something) or "refused" (the cluster did not take a repair, which is tried again).
	What string
	// Why it happened, if there is more to say.
	Why string
	// Records is how many the repair has sent.
	Records int
}

// Node keeps a denylist level with its cluster: what is decided here is published
// there, and what others decided is received.
type Node struct {
	engine  Engine
	list    *revocation.Denylist
	options Options

	queue   chan *publication
	awaited awaited
	owed    owed

	clock func() moment
	word  atomic.Pointer[moment] // when the last heartbeat that came by was sent; nil if none was

	reached []byte // the cursor where the last Sync ended; nil if the store has to be asked

	mu    sync.Mutex
	state state

	leave   func()          // the publishers of the denylist
	ctx     context.Context // ends when the node is closed
	stop    context.CancelFunc
	workers sync.WaitGroup
}

// Join makes a denylist part of the cluster behind an engine. From then on the
// engine belongs to the node, which closes it. The node must be closed before the
// denylist is.
func Join(list *revocation.Denylist, engine Engine, options Options) *Node {
	options.setDefaults()
	n := &Node{engine: engine, list: list, options: options, queue: make(chan *publication, maxWaiting), clock: clockOf(options.Now)}
	n.owed.room = options.Owed
	n.state.resyncs = make(map[string]int)
	n.ctx, n.stop = context.WithCancel(context.Background())
	// First: what is decided on alone until then voids the cursor, which is read after.
	n.leave = list.Join(n.publish)
	n.workers.Go(func() { n.keepPublishing(n.ctx) })
	n.workers.Go(func() { n.keepSynced(n.ctx) })
	return n
}

// Close leaves the cluster. What is decided on from then on stays here.
func (n *Node) Close() error {
	n.leave()
	n.stop()
	n.workers.Wait()
	return n.engine.Close()
}

// keepSynced runs one Sync after the other until ctx ends.
func (n *Node) keepSynced(ctx context.Context) {
	wait := minRetry
	for ctx.Err() == nil {
		began := time.Now()
		level, err := n.sync(ctx)
		if ctx.Err() != nil {
			return
		}
		n.lost(err)
		if level {
			wait = minRetry
		}
		// A Sync that took its time, waiting for the engine, has waited enough.
		sleep(ctx, max(jitter(wait)-time.Since(began), jitter(minRetry)))
		wait = min(2*wait, n.options.Retry)
	}
}

const minRetry = 100 * time.Millisecond

// jitter is a random part of a time, so that not all nodes act at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// sync is one run of the feed. It says whether the node became level.
func (n *Node) sync(ctx context.Context) (level bool, err error) {
	cursor, err := n.cursor()
	if err != nil {
		return false, err
	}
	r := newReceiver(ctx, n)
	r.cursor = cursor
	r.helpers.Go(r.keepBeating)
	err = n.engine.Sync(r.ctx, cursor, r)
	r.end(nil)
	r.helpers.Wait()
	if cause := context.Cause(r.ctx); !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err == nil {
		err = errors.New("the sync ended")
	}
	n.reached = nil
	if r.seen == nil {
		n.reached = r.cursor
	}
	return r.level, err
}

// cursor is where the next Sync should go on: nowhere if records are owed of
// which nobody knows any more which they are. The store has none while something is
// owed; but this process remembers what that is.
func (n *Node) cursor() ([]byte, error) {
	switch {
	case n.owed.forgotten():
		return nil, nil
	case n.reached != nil:
		return n.reached, nil
	}
	cursor, err := n.list.Cursor()
	if err != nil {
		return nil, fmt.Errorf("reading the cursor: %w", err)
	}
	return cursor, nil
}
