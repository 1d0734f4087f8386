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

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
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
// and otherwise why not, with one of [cluster.Reasons].
func (e *Engine) proven(ctx context.Context, stream jetstream.Stream, encoded []byte) (at cursor, why string, err error) {
	if encoded == nil {
		return at, cluster.ReasonNoCursor, nil
	}
	if json.Unmarshal(encoded, &at) != nil || at.Sequence == 0 {
		return at, cluster.ReasonUnreadable, nil
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return at, "", fmt.Errorf("asking for the stream: %w", err)
	}
	switch {
	case at.Stream != incarnation(info):
		return at, cluster.ReasonOther, nil
	case at.Sequence > info.State.LastSeq:
		return at, cluster.ReasonOlder, nil
	}
	message, err := stream.GetMsg(ctx, at.Sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return at, cluster.ReasonTrimmed, nil
	case err != nil:
		return at, "", fmt.Errorf("looking at the witness: %w", err)
	case witness(message.Data, message.Time) != at.Witness:
		return at, cluster.ReasonDiffers, nil
	}
	return at, "", nil
}
