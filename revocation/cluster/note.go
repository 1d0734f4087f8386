package cluster

import (
	"context"
	"encoding/binary"
)

// note is what nodes tell each other through the feed, beside records: about the
// feed itself.
type note struct {
	what byte
	id   uint64 // of the Sync that repairs, or of the question
}

const (
	// noteRepairing: this node knows live records that the feed may lack, and is
	// about to send them.
	noteRepairing = 'r'
	// noteQuestion: does anybody know that this feed has lost nothing?
	noteQuestion = 'q'
	// noteAnswer: a node that does has received the question.
	noteAnswer = 'a'
)

const noteSize = 1 + 8

func (n note) encode() []byte { return binary.BigEndian.AppendUint64([]byte{n.what}, n.id) }

// parseNote reads one. Others are of a later version, and passed over.
func parseNote(b []byte) (n note, ok bool) {
	if len(b) != noteSize {
		return n, false
	}
	return note{b[0], binary.BigEndian.Uint64(b[1:])}, true
}

// tell puts a note into the feed. That it fails shows in what does not come of it.
func (n *Node) tell(ctx context.Context, what byte, id uint64) {
	ctx, cancel := context.WithTimeout(ctx, n.options.Silence)
	defer cancel()
	_ = n.engine.Note(ctx, note{what, id}.encode())
}
