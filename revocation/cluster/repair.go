package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// repair sends the feed the live records that this node has and the feed lacks.
// All nodes of a cluster may have to do so at once: each waits a while, and goes
// through the keys in an order of its own, so that mostly each record is sent by one
// of them, and the others see it come by.
//
// An engine that does not take them, for example as it is full, has much to tell all the
// same: the Sync goes on, and what was not taken is sent later. The error is that the
// Sync has ended.
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
	sent := 0
	defer func() { r.node.repaired(sent) }()
	sleep(r.ctx, jitter(r.node.options.Spread))
	wait := minRetry
	for left := pieces(); len(left) > 0; {
		count, err := r.repairPiece(seen, left[0])
		sent += count
		switch {
		case r.ctx.Err() != nil:
			return context.Cause(r.ctx)
		case err == nil:
			left, wait = left[1:], minRetry
		default: // the others first
			r.node.options.Tell(Event{What: "refused", Why: err.Error()})
			left = append(left[1:], left[0])
			sleep(r.ctx, jitter(wait))
			wait = min(2*wait, maxRefused)
		}
	}
	return nil
}

// maxRefused bounds the time until something else is sent after something was not
// taken, which grows and is random.
const maxRefused = 5 * time.Second

// piece is the keys from one up to, but not including, another.
type piece struct{ from, end revocation.Key }

// perKind is into how many pieces the keys of a kind are divided.
const perKind = 64

// pieces are all keys, in random order.
func pieces() (list []piece) {
	for _, kind := range revocation.Kinds() {
		for i := range perKind {
			p := piece{from: revocation.Key{Kind: kind}, end: revocation.Key{Kind: kind + 1}}
			p.from.Digest[0] = byte(i * 256 / perKind)
			if i+1 < perKind {
				p.end = revocation.Key{Kind: kind}
				p.end.Digest[0] = byte((i + 1) * 256 / perKind)
			}
			list = append(list, p)
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func (r *receiver) repairPiece(seen *seen, p piece) (sent int, err error) {
	for {
		lacking, next, err := r.lacking(seen, p)
		if err != nil {
			return sent, err
		}
		// Others may have been faster.
		if lacking = seen.lacks(lacking); len(lacking) > 0 {
			if err := r.send(seen, lacking); err != nil {
				return sent, err
			}
			sent += len(lacking)
		}
		if next == nil {
			return sent, nil
		}
		p.from = *next
	}
}

// send sends records, and waits until they come by: by then, so has what others
// have sent meanwhile, and the next look is no older than that.
func (r *receiver) send(seen *seen, records []revocation.Record) error {
	if err := r.node.apply(r.ctx, records); err != nil {
		return err
	}
	r.node.repairs(len(records))
	ctx, cancel := context.WithTimeout(r.ctx, r.node.options.Silence) // an engine may say it in other words
	defer cancel()
	seen.await(ctx, &records[len(records)-1])
	return nil
}

// scanned bounds how many records are looked at in one go.
const scanned = 16 << 10

var errEnough = errors.New("enough")

// lacking returns records of a piece that the feed lacks, at most MaxBatch, and
// where to go on; nil at the end.
func (r *receiver) lacking(seen *seen, p piece) (list []revocation.Record, next *revocation.Key, err error) {
	looked := 0
	err = r.node.list.Scan(r.ctx, p.from, func(record revocation.Record) error {
		if record.Key.Compare(p.end) >= 0 {
			return errEnough
		}
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

// knowsAny says whether a node has a live record.
func (n *Node) knowsAny(ctx context.Context) (bool, error) {
	err := n.list.Scan(ctx, revocation.Key{}, func(revocation.Record) error { return errEnough })
	switch {
	case errors.Is(err, errEnough):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("looking for a record: %w", err)
	}
	return false, nil
}
