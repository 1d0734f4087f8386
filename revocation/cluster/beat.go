package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

type heartbeat struct {
	sent     moment
	repaired bool // that it was sent after the repair
}

// maxSent bounds how many heartbeats are waited for: of those that come even
// later nothing is learned.
const maxSent = 1024

var errSilence = errors.New("the engine has been silent")

// keepBeating sends heartbeats until ctx ends, and ends the Sync if nothing comes
// of them. One that could not be sent is followed sooner: the node is level only
// once one has come by.
func (r *receiver) keepBeating() {
	options := &r.node.options
	timer := time.NewTimer(0)
	defer timer.Stop()
	for beat := rand.Uint64(); ; beat++ {
		began := r.node.elapsed()
		err := r.beat(r.ctx, beat)
		wait := min(max(options.Beat, unhurried*(r.node.elapsed()-began)), options.Pause)
		if err != nil {
			wait /= 4
		} else {
			r.say(r.ctx)
		}
		timer.Reset(wait)
		select {
		case <-r.ctx.Done():
			return
		case <-r.early:
		case <-timer.C:
		}
		if !r.busy.Load() && r.node.elapsed()-time.Duration(r.progress.Load()) > options.Silence {
			r.end(silent(err))
			return
		}
	}
}

// unhurried is how many times as long as a heartbeat takes the time to the next is at
// least, up to Options.Pause: an engine that is slow is not kept so by the heartbeats of
// many nodes.
const unhurried = 8

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
	r.sent[beat] = heartbeat{sent: r.node.clock(), repaired: r.repaired.Load()}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, r.node.options.Silence)
	defer cancel()
	return r.node.engine.Beat(ctx, beat)
}

// say tells the other nodes what they have to know of this one.
func (r *receiver) say(ctx context.Context) {
	since := r.node.elapsed() - r.node.options.Beat
	if r.repairing.Load() && !r.doubt.said(since) {
		r.node.tell(ctx, noteRepairing, r.doubt.self)
	}
	if question, asks := r.doubt.question(since); asks {
		r.node.tell(ctx, noteQuestion, question)
	}
}
