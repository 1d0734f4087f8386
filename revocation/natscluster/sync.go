package natscluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

const (
	// askTimeout bounds each question to the server. Nobody answers those that come
	// while servers have not agreed who leads: they are asked again soon.
	askTimeout = 2 * time.Second
	// partTimeout bounds how long a node that goes takes leave.
	partTimeout = 2 * time.Second
	// ahead bounds what the server sends ahead of what was received.
	aheadMessages, aheadBytes = 10_000, 8 << 20
	// heartbeat is how often the server says that it is there while it has nothing.
	heartbeat = 2 * time.Second
	// together bounds the records that are delivered at once.
	together = 16 << 10
	// forget is when the server removes the consumer of a node that has gone: later
	// than one comes back that has to store millions of records on a slow disk.
	forget = 2 * time.Minute
	// deleting is how long a node waits before it makes a stream anew that has been
	// deleted. Servers call one gone that they are about to delete; one of its name that
	// is made meanwhile loses its files with it, and never answers (seen of NATS 2.14).
	deleting = time.Second
)

// Sync implements [cluster.Engine]. It reads the stream through a consumer of its
// own, which numbers what it sends: a number that is left out is a gap.
func (e *Engine) Sync(ctx context.Context, encoded []byte, to cluster.Receiver) error {
	ctx, leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	session, err := e.link.await(ctx, patience)
	if err != nil {
		return err
	}
	ctx, done := e.link.heed(ctx, func(refusal string) bool { return !strings.Contains(refusal, e.records()) })
	defer done()
	f := &feed{engine: e, session: session, to: to, name: nuid.Next()}
	defer f.close(ctx)
	if err = f.open(ctx, encoded); err == nil {
		err = f.read(ctx)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if unanswered(err) {
		e.elsewhere(session)
	}
	return err
}

// feed is one Sync.
type feed struct {
	engine   *Engine
	session  *session
	to       cluster.Receiver
	name     string           // of the consumer
	stream   jetstream.Stream // nil until the consumer is being made
	consumer jetstream.Consumer

	at       cursor // of the last message with records
	received uint64 // the consumer's number of the last message
	place    uint64 // the stream's number of the last message
	records  []revocation.Record
}

func (f *feed) open(ctx context.Context, encoded []byte) error {
	stream, err := f.engine.stream(ctx, f.session.js)
	if err != nil {
		return err
	}
	// This says where the consumer is to begin; it is looked at again once that is made.
	at, why, err := f.engine.proven(ctx, f.session, stream, encoded)
	if err != nil {
		return err
	}
	if why != "" {
		at = cursor{Stream: incarnation(stream.CachedInfo())}
		if err := f.to.Snapshot(why); err != nil {
			return err
		}
	}
	f.at, f.place = at, at.Sequence
	f.stream = stream
	f.consumer, err = f.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Name:              f.name, // known also if the answer is not heard
		Description:       "a gateway of caddy-token-revocation",
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       at.Sequence + 1,
		FilterSubjects:    []string{f.engine.records(), f.engine.notes(), f.engine.beats(f.engine.node)},
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
		if _, why, err := f.engine.proven(ctx, f.session, stream, encoded); err != nil || why != "" {
			return errors.Join(fmt.Errorf("%w: %s", cluster.ErrGap, why), err)
		}
	} else if info, err := stream.Info(ctx); err != nil || incarnation(info) != at.Stream {
		return errors.Join(fmt.Errorf("%w: the stream became another", cluster.ErrGap), err)
	}
	return nil
}

// close lets the server forget the consumer. If it cannot be asked to, it does so
// by itself. ctx is that of the Sync, which may have ended.
func (f *feed) close(ctx context.Context) {
	if f.stream == nil || f.session.over() {
		return
	}
	parting, cancel := context.WithTimeout(context.Background(), partTimeout)
	defer cancel()
	for range forgetting {
		err := f.stream.DeleteConsumer(parting, f.name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			sleep(ctx, deleting)
			return
		}
		if f.consumer != nil || !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return
		}
		// Nobody has waited until it was made: a server, which works on several
		// questions at once, may be about to.
		sleep(parting, 100*time.Millisecond)
	}
}

// forgetting is how often the server is asked to forget a consumer that it does not
// know yet.
const forgetting = 5

// read reads the stream, and looks after it.
func (f *feed) read(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := f.engine.watch(ctx, f.stream); err != nil {
			end(err)
		}
	})
	err := f.run(ctx)
	end(nil)
	watching.Wait()
	return err
}

// run asks for one portion after the other: what is under way is bounded, and
// nothing is lost while the receiver takes its time.
func (f *feed) run(ctx context.Context) error {
	// Without the deadline of ctx: Fetch would ask accordingly.
	fetching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for {
		asked, before := time.Now(), f.received
		batch, err := f.consumer.Fetch(aheadMessages, jetstream.FetchMaxBytes(aheadBytes),
			jetstream.FetchHeartbeat(heartbeat), jetstream.FetchContext(fetching))
		if err == nil {
			err = f.portion(ctx, batch.Messages())
		}
		if err == nil {
			err = batch.Error()
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("reading the stream: %w", err)
		case f.received == before && time.Since(asked) < heartbeat:
			return fmt.Errorf("%w: the server does not send what it has", cluster.ErrGap)
		}
	}
}

// portion receives messages until there are no more.
func (f *feed) portion(ctx context.Context, messages <-chan jetstream.Msg) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.session.lost:
			_, err := f.engine.link.now()
			return cmp.Or(err, ErrDisconnected) // it may be back
		case m, ok := <-messages:
			if !ok {
				return nil
			}
			if err := f.take(ctx, m, messages); err != nil {
				return err
			}
		}
	}
}

// take receives a message, and what has come with it.
func (f *feed) take(ctx context.Context, m jetstream.Msg, more <-chan jetstream.Msg) error {
	for ok := true; ok; {
		if err := f.message(ctx, m); err != nil {
			return err
		}
		if len(f.records) >= together {
			break
		}
		select {
		case m, ok = <-more:
		default:
			ok = false
		}
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
	if m.Headers().Get(jetstream.MarkerReasonHeader) != "" && len(m.Data()) == 0 {
		return nil // the server tells that the last of a subject has gone
	}
	switch m.Subject() {
	case f.engine.records():
	case f.engine.notes():
		if err := f.deliver(ctx); err != nil {
			return err
		}
		return f.to.Note(m.Data())
	default:
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
	if len(f.records) == 0 {
		f.records = records
	} else {
		f.records = append(f.records, records...)
	}
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
