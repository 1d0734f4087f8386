package revocation

import "errors"

var (
	// ErrNotFound says that a store holds no record of a key.
	ErrNotFound = errors.New("no such record")

	// ErrNotStored says that a store wrote nothing of a batch. After any other
	// error of [Store.Put] the batch may or may not have become durable.
	ErrNotStored = errors.New("not stored")

	// ErrBusy says that a queue is full. Nothing was done; a retry may succeed.
	ErrBusy = errors.New("too many revocations are waiting")

	// ErrClosed says that the denylist or store was used after it was closed.
	ErrClosed = errors.New("closed")

	// ErrCorrupt says that stored bytes are not what this version writes.
	ErrCorrupt = errors.New("not readable")

	// ErrLocked says that another process has the store open.
	ErrLocked = errors.New("in use by another process")

	// ErrInvalid says that a record cannot be stored as it is.
	ErrInvalid = errors.New("invalid record")

	// ErrAway says that records did not reach the cluster, or may not have. Those that
	// refuse something are durable and enforced on this node.
	ErrAway = errors.New("the cluster was not reached")

	// ErrUsed is returned for what may be used only once and has been.
	ErrUsed = errors.New("used before")
)
