package revocation

import (
	"context"
	"time"
)

// Store is this node's own durable copy of the denylist. Its methods are safe
// for concurrent use. The package storetest holds every implementation to what
// is said here.
type Store interface {
	// Put makes a batch durable: when it returns nil, the batch survives the
	// loss of the process and of power. A record whose key is stored already
	// becomes the [Merge] of both. The records and the cursor become durable
	// together or not at all.
	//
	// Concurrent calls share what it costs to become durable; a lone call does
	// not wait for company. When ctx ends first, Put returns its error and the
	// batch may become durable all the same. An error that wraps ErrNotStored
	// promises that nothing of the batch was stored; no other error does.
	Put(ctx context.Context, batch Batch) error

	// Get returns the record of a key, ErrNotFound where there is none, or any
	// other error where that cannot be known. It may return a record that a
	// Put under way has not made durable yet.
	Get(key Key) (Record, error)

	// Scan calls f with every record in the order of their keys, beginning with
	// the first key that is not below from. It sees every record that is stored
	// throughout the call, and may or may not see those that come and go
	// meanwhile. It ends with the first error of f or of ctx and returns it. f
	// must not call the store.
	Scan(ctx context.Context, from Key, f func(Record) error) error

	// Drop removes the records that expire before the given time, except those
	// that a concurrent Put extends, and returns how many that were.
	Drop(ctx context.Context, before time.Time) (int, error)

	// Cursor returns the cursor of the last batch that had one, or nil.
	Cursor() ([]byte, error)

	// Close waits for what is under way and releases what the store holds.
	// Every later call, except Close, returns ErrClosed.
	Close() error
}

// Volatile is implemented by a store that forgets everything when the process
// ends: its Put returns nil though nothing is durable. A denylist with such a store
// promises only what its cluster has made durable. Without one it enforces what is
// revoked, and the error is [ErrAway].
type Volatile interface{ Volatile() }

// Batch is what becomes durable at once.
type Batch struct {
	Records []Record
	// Cursor replaces the stored cursor unless it is nil. It is opaque to the
	// store.
	Cursor []byte
	// Lazy has Put return as soon as Get, Scan and Cursor show the batch. It becomes
	// durable within moments, together with its cursor, after all that was put before
	// it and no later than what is put after it. Close makes it durable too.
	Lazy bool
	// Forgotten is the time before which a stored record that expires is as good as
	// dropped: one of the batch replaces it.
	Forgotten time.Time
}

// Merged is what stands for a record of the batch where another of its key is stored:
// the [Merge] of both, unless that one is forgotten.
func (b *Batch) Merged(stored, r Record) Record {
	if stored.Expires.Before(b.Forgotten) {
		return r
	}
	return Merge(stored, r)
}
