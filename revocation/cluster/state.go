package cluster

import (
	"maps"
	"time"
)

// State is what an operator wants to know of a node.
type State struct {
	// Level says that a Sync is under way that has delivered all that was in the
	// feed when it began, and that the engine has lost nothing before as far as the
	// nodes know that are connected.
	Level bool
	// Word says that there has been word from the cluster since the node began, and
	// Staleness how long ago the last was sent: all that the cluster knew then, this
	// node knows. Measured by the node's own clocks alone, also while the machine was
	// suspended.
	Word      bool
	Staleness time.Duration
	// Lag is how long that was under way: what is decided takes as long to come in.
	Lag time.Duration
	// Syncs counts the runs of the feed, and Snapshots those, by each of [Reasons],
	// in which all of it had to be delivered.
	Syncs     int
	Snapshots map[string]int
	// Received counts the records that came in, this node's own included.
	Received int
	// Repaired counts the records that the cluster lacked and was sent.
	Repaired int
	// Owed is how many records did not reach the cluster and will be sent again.
	Owed int
	// Lost is why the last Sync ended, or what the node waits for; empty while it is
	// level.
	Lost string
	// Warnings are those of the engine.
	Warnings []string
}

type state struct {
	level    bool
	lag      time.Duration
	syncs    int
	resyncs  map[string]int
	received int
	repaired int
	lost     string
}

// State is that of this moment.
func (n *Node) State() State {
	warnings, owed := n.engine.Warnings(), n.owed.count()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := State{
		Level: n.state.level, Lag: n.state.lag, Syncs: n.state.syncs, Snapshots: maps.Clone(n.state.resyncs),
		Received: n.state.received, Repaired: n.state.repaired, Owed: owed, Lost: n.state.lost, Warnings: warnings,
	}
	if word := n.word.Load(); word != nil {
		s.Word, s.Staleness = true, n.clock().since(*word)
	}
	return s
}

// Fresh says whether there was word from the cluster within a time. It costs one
// look at the clock.
func (n *Node) Fresh(within time.Duration) bool {
	word := n.word.Load()
	return word != nil && n.clock().since(*word) <= within
}

func (n *Node) begun() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state.syncs++
}

func (n *Node) snapshot(why string) {
	n.mu.Lock()
	n.state.resyncs[reasonOf(why)]++
	n.mu.Unlock()
	n.options.Tell(Event{What: "snapshot", Why: why})
}

// heard notes that everything is known that the cluster knew at a time.
func (n *Node) heard(sent moment) {
	n.mu.Lock()
	first := !n.state.level
	n.state.level, n.state.lost, n.state.lag = true, "", n.clock().since(sent)
	if last := n.word.Load(); last == nil || sent.monotonic > last.monotonic {
		n.word.Store(&sent)
	}
	n.mu.Unlock()
	if first {
		n.options.Tell(Event{What: "level"})
	}
}

// lag is how long the last heartbeat was under way.
func (n *Node) lag() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state.lag
}

// waits notes why there is no word yet.
func (n *Node) waits(why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state.lost = why
}

func (n *Node) lost(err error) {
	n.mu.Lock()
	n.state.level, n.state.lost = false, err.Error()
	n.mu.Unlock()
	n.options.Tell(Event{What: "lost", Why: err.Error()})
}

func (n *Node) received(records int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state.received += records
}

// repairs counts what was sent while a repair is under way.
func (n *Node) repairs(records int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state.repaired += records
}

// repaired tells what a repair has sent, when it ends.
func (n *Node) repaired(records int) {
	if records > 0 {
		n.options.Tell(Event{What: "repaired", Records: records})
	}
}
