package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// repair sends the feed the live records that this node has and the feed lacks.
// All nodes of a cluster may have to do so at once: each waits a while, and begins
// somewhere else, so that mostly each record is sent by one of them, and the
// others see it come by.
func (r *receiver) repair(seen *seen) (err error) {
	// What is forgotten from here on is for the next; what was forgotten before is
	// stored by the time that the scan begins.
	if r.node.owed.recall() {
		defer func() {
			if err != nil {
				r.node.owed.forget()
			}
		}()
	}
	sleep(r.ctx, jitter(r.node.options.Spread))
	from := revocation.Key{Kind: revocation.KindToken}
	for i := range from.Digest {
		from.Digest[i] = byte(rand.Uint32())
	}
	begin := from
	for wrapped := false; ; {
		lacking, next, err := r.lacking(seen, from)
		if err != nil {
			return err
		}
		// Others may have been faster.
		if lacking = seen.lacks(lacking); len(lacking) > 0 {
			if err := r.node.apply(r.ctx, lacking); err != nil {
				return err
			}
			r.node.repaired(len(lacking))
		}
		switch {
		case next == nil && wrapped:
			return nil
		case next == nil:
			wrapped, from = true, revocation.Key{}
		case wrapped && next.Compare(begin) > 0:
			return nil
		default:
			from = *next
		}
	}
}

// scanned bounds how many records are looked at in one go.
const scanned = 16 << 10

var errEnough = errors.New("enough")

// lacking returns records from a key on that the feed lacks, at most MaxBatch, and
// where to go on; nil at the end.
func (r *receiver) lacking(seen *seen, from revocation.Key) (list []revocation.Record, next *revocation.Key, err error) {
	looked := 0
	err = r.node.list.Scan(r.ctx, from, func(record revocation.Record) error {
		if looked++; looked > scanned || len(list) == MaxBatch {
			next = &record.Key
			return errEnough
		}
		list = append(list, seen.lacks([]revocation.Record{record})...)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, nil, fmt.Errorf("looking for what the cluster lacks: %w", err)
	}
	return list, next, nil
}

// apply has the engine make records durable, within a time.
func (n *Node) apply(ctx context.Context, records []revocation.Record) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	return n.engine.Apply(ctx, records)
}
