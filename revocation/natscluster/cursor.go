package natscluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// cursor says up to which message a node has received everything: one with
// records, which stands there as long as its records live.
type cursor struct {
	// Stream is the incarnation.
	Stream string `json:"stream"`
	// Sequence is that of the message.
	Sequence uint64 `json:"sequence"`
	// Witness is what stood there: a stream that was restored from older data gives
	// the same number to another message.
	Witness uint64 `json:"witness"`
}

func witness(body []byte, stored time.Time) uint64 {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, stored.UnixNano())
	_, _ = h.Write(body)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

func (c cursor) encode() []byte {
	b, _ := json.Marshal(c) // of texts and numbers
	return b
}

// proven says whether everything that followed a cursor is still in the stream,
// and otherwise why not.
func (e *Engine) proven(ctx context.Context, stream jetstream.Stream, encoded []byte) (at cursor, why string, err error) {
	if encoded == nil {
		return at, "the node has no cursor", nil
	}
	if json.Unmarshal(encoded, &at) != nil || at.Sequence == 0 {
		return at, "the cursor cannot be read", nil
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return at, "", fmt.Errorf("asking for the stream: %w", err)
	}
	switch {
	case at.Stream != incarnation(info):
		return at, "the stream is another", nil
	case at.Sequence > info.State.LastSeq:
		return at, "the stream was restored from older data", nil
	}
	message, err := stream.GetMsg(ctx, at.Sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return at, "the stream no longer has what the cursor points at", nil
	case err != nil:
		return at, "", fmt.Errorf("looking at the witness: %w", err)
	case witness(message.Data, message.Time) != at.Witness:
		return at, "the stream has something else where the cursor points at", nil
	}
	return at, "", nil
}
