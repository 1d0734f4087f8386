package cluster

import (
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// hold is records that were delivered and are not stored yet. Digests are spread
// evenly, and a commit costs as much as there are places in the file that it
// changes: so much is held, and each commit is of keys that stand beside each other.
// Encoded, as that takes a third of the memory.
type hold struct {
	parts [256][]byte // by the first byte of the digest
	bytes int
}

const (
	// maxHeld bounds what is held, in bytes: some two million records.
	maxHeld = 128 << 20
	// heldTogether is how much of it is stored in one commit, unless one part is more.
	heldTogether = 4 << 20
)

func (h *hold) add(records []revocation.Record) {
	for i := range records {
		part := &h.parts[records[i].Key.Digest[0]]
		before := len(*part)
		*part = appendRecord(*part, &records[i])
		h.bytes += len(*part) - before
	}
}

func (h *hold) full() bool { return h.bytes >= maxHeld }

// empty hands over all that is held, some at a time, until there is an error.
func (h *hold) empty(store func([]revocation.Record) error) error {
	var some []revocation.Record
	bytes := 0
	for i := range h.parts {
		var err error
		if some, err = appendParsed(some, h.parts[i]); err != nil {
			return err
		}
		bytes += len(h.parts[i])
		h.bytes -= len(h.parts[i])
		h.parts[i] = nil
		if bytes < heldTogether && h.bytes > 0 || len(some) == 0 {
			continue
		}
		if err := store(some); err != nil {
			return err
		}
		clear(some) // of their texts
		some, bytes = some[:0], 0
	}
	return nil
}
