package model

import (
	"fmt"
	"strings"
)

// Bounds of what a state can hold. A search has narrower ones.
const (
	maxNodes     = 3
	maxKeys      = 2
	maxDecisions = 4
	maxLog       = 20
)

// state is one state of the whole system. It is comparable, and small.
type state struct {
	engine history
	spare  history // another copy of the engine's data, of which it may be restored
	nodes  [maxNodes]node

	decided   uint8
	decisions [maxDecisions]decision

	ids    uint8 // of messages that were given
	faults uint8 // of the engine, that happened
	time   uint8
}

// history is what the engine has: messages by their numbers, from 1 on.
type history struct {
	length   uint8
	messages [maxLog]message
}

// message is one with a record. Its id stands for the time at which it was stored
// and its body: the witness. Of id 0 is one that has been removed.
type message struct {
	record record
	id     uint8
}

// cursor is revocation/natscluster's: a number, and the witness. Number 0 is none.
type cursor struct{ number, id uint8 }

// kept is what a store has.
type kept struct {
	records [maxKeys]record
	cursor  cursor
}

// node is a gateway: what its store keeps, and what it forgets in a crash.
type node struct {
	// The store: what it shows, and is enforced, and what of it is in the file. That
	// is what it was at some time, and differs only where something came in lazily.
	kept
	file kept

	// cluster.receiver, of one Sync.
	syncing   bool
	level     bool
	snapshot  bool    // receiver.seen is not nil
	repaired  bool    // receiver.repaired
	repairing uint8   // the key that the repair has got to
	place     uint8   // the number up to which everything was delivered
	last      cursor  // receiver.cursor
	seen      records // receiver.seen
	beat      beat    // one of receiver.sent
	paying    records // of what is owed, was sent and did not come by yet
	doubt     doubt   // receiver.doubt

	// cluster.Node.
	reached  cursor // where the last Sync ended; 0 if it has to be asked of the store
	owed     records
	deciding deciding
	late     record // a message that nobody waits for, and that still may arrive
	vouching uint8  // the question that it is about to answer
}

// beat is a heartbeat on its way: where it stands in the feed, and what the node
// will claim to know when it comes by.
type beat struct {
	sent     bool
	behind   uint8 // the number of the last record before it
	due      uint8 // a set of decisions
	repaired bool  // that it was sent after the repair
	calm     bool  // that it was sent some time after the last note about a repair
}

// deciding is a call of Denylist.Revoke or Restore under way.
type deciding struct {
	decision  uint8 // 1 is the first; 0 is none
	record    record
	began     uint8
	early     bool // it was stored apart, as its publishing takes long
	published bool // the engine has acknowledged it
	cameBy    bool // and the feed has delivered it to this node
}

// decision is what is known of one from outside: the ghost of the model.
type decision struct {
	key, node uint8
	restore   bool
	record    record
	answered  bool  // with success
	spread    bool  // it has stood in the feed at some time
	before    uint8 // a set: the decisions that were answered before this one began
}

func (h *history) append(r record, id uint8) {
	h.messages[h.length] = message{r, id}
	h.length++
}

// cut leaves the first messages.
func (h *history) cut(length uint8) {
	clear(h.messages[length:])
	h.length = length
}

// holds says whether the feed includes a record.
func (h *history) holds(t *table, r record) bool {
	for _, m := range h.messages[:h.length] {
		if m.id != 0 && t.key(m.record) == t.key(r) && t.has(m.record, r) {
			return true
		}
	}
	return false
}

func (s *state) describe(t *table, nodes int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  time %d, engine:", s.time)
	for _, m := range s.engine.messages[:s.engine.length] {
		fmt.Fprintf(&b, " %d=%s", m.id, t.describe(m.record))
	}
	for i := range s.nodes[:nodes] {
		n := &s.nodes[i]
		fmt.Fprintf(&b, "\n  %c: %s %s cursor %v", 'A'+i, t.describe(n.records[0]), t.describe(n.records[1]), n.cursor)
		if n.file != n.kept {
			fmt.Fprintf(&b, " file %s %s cursor %v", t.describe(n.file.records[0]), t.describe(n.file.records[1]), n.file.cursor)
		}
		if n.syncing {
			fmt.Fprintf(&b, " at %d level %v settled %v snapshot %v repaired %v", n.place, n.level, n.doubt.settled, n.snapshot, n.repaired)
		}
		if n.deciding.decision != 0 {
			fmt.Fprintf(&b, " deciding #%d %s", n.deciding.decision, t.describe(n.deciding.record))
		}
	}
	return b.String()
}
