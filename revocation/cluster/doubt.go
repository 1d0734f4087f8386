package cluster

import (
	"math/rand/v2"
	"sync"
	"time"
)

// doubt is whether the engine may have lost, before a Sync began, what other nodes
// know and this one does not: whoever had it can tell, and nobody else. So a
// heartbeat that comes by is no word yet. It becomes that
//
//   - as soon as a node whose own doubt is over says that it has received, in its
//     Sync, a question that has also come by in this one: what the two read is the
//     same, and had lost nothing when the other's doubt ended;
//   - or else when nobody has said for some time that it repairs. By then all who
//     are connected have begun a Sync, and found out what the engine has lost.
//
// A node that had word until shortly before waits for the repairs of others no
// longer than hold: it can lack only what was acknowledged in the last moments, and a
// large repair must not keep a whole fleet from serving.
//
// A Sync whose doubt is over is not disturbed by anything: it ends when the engine
// loses something.
type doubt struct {
	self   uint64 // the Sync, in notes
	settle time.Duration
	hold   time.Duration // 0 is as long as it takes

	mu    sync.Mutex
	level bool
	began time.Duration // when it became level; as the following, since the node's base
	calm  time.Duration // when somebody else has said last that it repairs, or began
	over  bool          // heartbeats are word
	knows bool          // and not for lack of patience: others may rely on it

	asks     bool                // has asked
	asked    time.Duration       // when a question came by last; 0 is never
	live     map[uint64]struct{} // the questions that came by
	open     uint64              // the last of them, if no answer came by; else 0
	repairer [2]repairer         // the last two others that said so
}

type repairer struct {
	id   uint64
	said time.Duration
}

// maxLive bounds the questions that are known at once.
const maxLive = 1024

// heartbeat notes that one has come by, and says whether it is word. Since it came
// behind all notes that others had sent before it, it counts when it was sent.
func (d *doubt) heartbeat(sent, now time.Duration) (word bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.level {
		d.level, d.began, d.calm = true, now, now
		d.live = make(map[uint64]struct{})
	}
	if sent-d.calm >= d.settle {
		d.knows = true
	}
	d.over = d.over || d.knows || d.hold > 0 && sent-d.began >= d.hold
	return d.over
}

// note takes note of one. Those from before the Sync was level say nothing about the
// feed, as the engine may have them from before it was put back to older data; but
// what others have just said and asked need not be said and asked by all.
func (d *doubt) note(n note, now time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch n.what {
	case noteRepairing:
		if n.id == d.self {
			return
		}
		d.calm = now
		if n.id != d.repairer[0].id {
			d.repairer[1] = d.repairer[0]
		}
		d.repairer[0] = repairer{n.id, now}
	case noteQuestion:
		d.asked = now
		if !d.level {
			return
		}
		if len(d.live) >= maxLive {
			clear(d.live)
		}
		d.live[n.id] = struct{}{}
		d.open = n.id
	case noteAnswer:
		if _, ok := d.live[n.id]; ok {
			d.over, d.knows = true, true
		}
		if n.id == d.open {
			d.open = 0
		}
	}
}

// question is one to ask, if the answer would help and nobody has asked since. Before
// the Sync is level it is asked once, as it comes by right behind the first heartbeat.
func (d *doubt) question(since time.Duration) (id uint64, asks bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.knows || d.asks && !d.level || d.asked != 0 && d.asked >= since {
		return 0, false
	}
	d.asks = true
	return rand.Uint64(), true
}

// unanswered is the last question, if it is unanswered and this node knows.
func (d *doubt) unanswered() (id uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open, d.knows && d.open != 0
}

// said says whether two others have said since then that they repair: then also
// those two hear it of somebody else, and it need not be said by all.
func (d *doubt) said(since time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.repairer[1].id != 0 && d.repairer[1].said >= since
}

// waits says why there is no word yet.
func (d *doubt) waits(now time.Duration) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.repairer[0].id != 0 && now-d.repairer[0].said < d.settle {
		return "another node sends what the engine has lost"
	}
	return "other nodes are given time to say what the engine has lost"
}

// recent is how old the last word of a node may be that need not wait for all
// repairs.
const recent = time.Minute

func (n *Node) newDoubt() *doubt {
	d := &doubt{self: rand.Uint64(), settle: n.options.Settle}
	if n.Fresh(recent) {
		d.hold = 4 * d.settle
	}
	return d
}
