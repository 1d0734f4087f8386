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
func (e *Engine) proven(ctx context.Context, s *session, stream jetstream.Stream, encoded []byte) (at cursor, why string, err error) {
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
	body, stored, err := e.message(ctx, s, at.Sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return at, cluster.ReasonTrimmed, nil
	case err != nil:
		return at, "", fmt.Errorf("looking at the witness: %w", err)
	case witness(body, stored) != at.Witness:
		return at, cluster.ReasonDiffers, nil
	}
	return at, "", nil
}

// message is one of the stream, as the server has it that leads. [jetstream.Stream]
// may ask another that has a copy, which may be behind.
func (e *Engine) message(ctx context.Context, s *session, sequence uint64) (body []byte, stored time.Time, err error) {
	api := "$JS.API"
	if e.c.Domain != "" {
		api = "$JS." + e.c.Domain + ".API"
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	question := fmt.Appendf(nil, `{"seq":%d}`, sequence)
	said, err := s.conn.RequestWithContext(ctx, api+".STREAM.MSG.GET."+e.c.Stream, question)
	if err != nil {
		return nil, stored, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Data []byte    `json:"data"`
			Time time.Time `json:"time"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(said.Data, &answer); {
	case err != nil:
		return nil, stored, err
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, stored, jetstream.ErrMsgNotFound
	case answer.Error != nil:
		return nil, stored, answer.Error
	case answer.Message == nil:
		return nil, stored, jetstream.ErrInvalidJetStreamResponse
	}
	return answer.Message.Data, answer.Message.Time, nil
}
