package natscluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

const (
	// askTimeout bounds each question to the server.
	askTimeout = 5 * time.Second
	// ahead bounds what the server sends ahead of what was received.
	aheadMessages, aheadBytes = 1000, 8 << 20
	// together bounds the records that are delivered at once.
	together = 16 << 10
	// forget is when the server removes the consumer of a node that has gone.
	forget = 30 * time.Second
)

// Sync implements [cluster.Engine]. It reads the stream through a consumer of its
// own, which numbers what it sends: a number that is left out is a gap.
func (e *Engine) Sync(ctx context.Context, encoded []byte, to cluster.Receiver) error {
	if e.isClosed() {
		return revocation.ErrClosed
	}
	f := &feed{engine: e, to: to, messages: make(chan jetstream.Msg, aheadMessages), failed: make(chan error, 1)}
	if err := f.open(ctx, encoded); err != nil {
		return err
	}
	defer f.close()
	return f.run(ctx)
}

// feed is one Sync.
type feed struct {
	engine   *Engine
	to       cluster.Receiver
	stream   jetstream.Stream
	consumer jetstream.Consumer
	consume  jetstream.ConsumeContext
	messages chan jetstream.Msg
	failed   chan error

	at       cursor // of the last message with records
	received uint64 // the consumer's number of the last message
	place    uint64 // the stream's number of the last message
	records  []revocation.Record
}

func (f *feed) open(ctx context.Context, encoded []byte) error {
	asking, cancel := context.WithTimeout(ctx, 4*askTimeout)
	defer cancel()
	var err error
	if f.stream, err = f.engine.stream(asking); err != nil {
		return err
	}
	// The consumer first: what is proven after that holds for what it will send.
	at, why, err := f.engine.proven(asking, f.stream, encoded)
	if err != nil {
		return err
	}
	if why != "" {
		at = cursor{Stream: incarnation(f.stream.CachedInfo())}
		if err := f.to.Snapshot(why); err != nil {
			return err
		}
	}
	f.at, f.place = at, at.Sequence
	f.consumer, err = f.stream.CreateConsumer(asking, jetstream.ConsumerConfig{
		Description:       "a gateway of caddy-token-revocation",
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       at.Sequence + 1,
		FilterSubjects:    []string{f.engine.records(), f.engine.beats(f.engine.node)},
		AckPolicy:         jetstream.AckNonePolicy,
		MaxDeliver:        1,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: forget,
	})
	if err != nil {
		return fmt.Errorf("making a consumer: %w", err)
	}
	// And once more, now that the consumer holds its place: the stream may have
	// become another in between.
	if why == "" {
		if _, why, err := f.engine.proven(asking, f.stream, encoded); err != nil || why != "" {
			f.close()
			return errors.Join(fmt.Errorf("%w: %s", cluster.ErrGap, why), err)
		}
	} else if info, err := f.stream.Info(asking); err != nil || incarnation(info) != at.Stream {
		f.close()
		return errors.Join(fmt.Errorf("%w: the stream became another", cluster.ErrGap), err)
	}
	f.consume, err = f.consumer.Consume(func(m jetstream.Msg) {
		select {
		case f.messages <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(aheadMessages, aheadBytes), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { f.fail(err) }))
	if err != nil {
		f.close()
		return fmt.Errorf("reading the stream: %w", err)
	}
	return nil
}

func (f *feed) fail(err error) {
	select {
	case f.failed <- err:
	default:
	}
}

func (f *feed) close() {
	if f.consume != nil {
		f.consume.Stop()
		<-f.consume.Closed()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if f.consumer != nil && f.engine.conn.IsConnected() { // else the server will do it
		_ = f.stream.DeleteConsumer(ctx, f.consumer.CachedInfo().Name)
	}
}

func (f *feed) run(ctx context.Context) error {
	lost := f.engine.conn.StatusChanged()
	defer f.engine.conn.RemoveStatusListener(lost)
	if !f.engine.conn.IsConnected() {
		return errDisconnected
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-lost:
			return errDisconnected
		case err := <-f.failed:
			return fmt.Errorf("reading the stream: %w", err)
		case m := <-f.messages:
			if err := f.take(ctx, m); err != nil {
				return err
			}
		}
	}
}

// take receives a message, and what has come with it.
func (f *feed) take(ctx context.Context, m jetstream.Msg) error {
	for {
		if err := f.message(ctx, m); err != nil {
			return err
		}
		if len(f.records) >= together {
			break
		}
		select {
		case m = <-f.messages:
			continue
		default:
		}
		break
	}
	return f.deliver(ctx)
}

func (f *feed) message(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("%w: a message without metadata: %w", cluster.ErrForeign, err)
	}
	if meta.Sequence.Consumer != f.received+1 || meta.Sequence.Stream <= f.place {
		return fmt.Errorf("%w: message %d of the consumer follows %d", cluster.ErrGap, meta.Sequence.Consumer, f.received)
	}
	f.received, f.place = meta.Sequence.Consumer, meta.Sequence.Stream
	if m.Subject() != f.engine.records() {
		beat, err := strconv.ParseUint(string(m.Data()), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: a heartbeat that is none", cluster.ErrForeign)
		}
		if err := f.deliver(ctx); err != nil {
			return err
		}
		return f.to.Beat(beat)
	}
	records, err := cluster.ParseRecords(m.Data())
	if err != nil {
		return fmt.Errorf("message %d of stream %s: %w", f.place, f.engine.c.Stream, err)
	}
	f.records = append(f.records, records...)
	f.at.Sequence, f.at.Witness = f.place, witness(m.Data(), meta.Timestamp)
	return nil
}

func (f *feed) deliver(ctx context.Context) error {
	if len(f.records) == 0 {
		return nil
	}
	err := f.to.Deliver(ctx, f.records, f.at.encode())
	f.records = nil
	return err
}
