package cluster

import "time"

// moment is an instant by two clocks, since a node began. The monotonic one stands
// still while the machine is suspended; the other is set, forward and back.
type moment struct{ monotonic, wall time.Duration }

// since is how long before m another moment was, by the clock that says more: whoever
// was suspended has been without word as long, and a clock that is set forward makes
// word old only until the next.
func (m moment) since(then moment) time.Duration {
	return max(m.monotonic-then.monotonic, m.wall-then.wall)
}

// clockOf reads a clock; nil is time.Now. That costs one look at it.
func clockOf(now func() time.Time) func() moment {
	if now == nil {
		now = time.Now
	}
	base := now()
	wall := base.UnixNano()
	return func() moment {
		t := now()
		return moment{t.Sub(base), time.Duration(t.UnixNano() - wall)}
	}
}

// elapsed is how long the node has been there, without the time that the machine was
// suspended.
func (n *Node) elapsed() time.Duration { return n.clock().monotonic }
