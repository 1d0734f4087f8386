// Package cluster shares one denylist among nodes, through an existing engine
// that is durable and tells all nodes of every change. What is particular to an
// engine stands behind [Engine]; when to ask it, what to believe and what to
// repair stands here.
package cluster

import (
	"context"
	"errors"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Engine is what nodes share records through: a feed that remembers. Its methods
// are safe for concurrent use. The package clustertest holds every
// implementation to what is said here.
type Engine interface {
	// Apply makes records durable at the level that the engine's configuration
	// promises, and puts them into the feed: when it returns nil, every Sync that
	// begins later delivers them, and every one under way will, until they end
	// and some time after. It never returns nil below that. After an error the
	// records may be in the feed all the same; to try again is safe. The caller
	// keeps the records of a call below MaxBatch.
	Apply(ctx context.Context, records []revocation.Record) error

	// Beat puts a heartbeat of this node into the feed, by the same way that
	// records take, so that whoever receives it has received everything that was
	// in the feed before. It need not outlive a minute.
	Beat(ctx context.Context, beat uint64) error

	// Note puts a note, of a few bytes, into the feed, as Beat does a heartbeat, but
	// for all nodes, this one too. It need not outlive a minute.
	Note(ctx context.Context, note []byte) error

	// Sync delivers to the receiver what the feed has, and what comes, in the order
	// of the feed, until ctx ends or something is in doubt; it never returns nil.
	//
	// The cursor is one that an earlier Sync of any process has delivered, or nil.
	// If the engine can prove that it is its own, and that nothing which followed
	// it was lost, Sync goes on from there. Otherwise it says why in
	// Receiver.Snapshot, and delivers all that the feed has.
	//
	// It must end with an error, rather than go on, when anything that was in the
	// feed may not have been delivered. It must not buffer without bound: while
	// the receiver is busy, the engine waits.
	Sync(ctx context.Context, cursor []byte, to Receiver) error

	// Warnings say which settings of the engine cannot keep its promises, and what
	// to set instead; as of the last Apply or Sync.
	Warnings() []string

	// Close ends what is under way, waits for that, and releases everything, also what
	// is held at the engine. What was under way, and every later call except Close,
	// returns revocation.ErrClosed.
	Close() error
}

// MaxBatch is how many records one Apply has at most.
const MaxBatch = 1024

// Receiver is who a Sync delivers to. Calls come one at a time, from Sync itself.
// Where one returns an error, Sync ends with it.
type Receiver interface {
	// Snapshot says that all that the feed has follows, and with one of [Reasons] why
	// the cursor was of no use.
	Snapshot(why string) error
	// Deliver hands over records, which are the receiver's from then on, and the
	// cursor that stands behind them: who has made both durable together need never
	// receive them again. It may have no records.
	Deliver(ctx context.Context, records []revocation.Record, cursor []byte) error
	// Beat says that a heartbeat of this node has come by.
	Beat(beat uint64) error
	// Note says that a note of any node has come by.
	Note(note []byte) error
}

// Errors that a Sync may end with, beside those of the engine.
var (
	// ErrGap says that something in the feed may have been missed.
	ErrGap = errors.New("something may have been missed")
	// ErrForeign says that the feed has what this version does not understand.
	ErrForeign = errors.New("the feed has something that this version does not understand")
)
