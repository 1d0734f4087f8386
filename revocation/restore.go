package revocation

import (
	"context"
	"errors"
	"fmt"
)

// Decision is who decided to reverse a record, and why.
type Decision struct {
	// By is the name of the operator; at most MaxText bytes.
	By string
	// Reason says why, for people; at most MaxText bytes.
	Reason string
}

// Restore takes a revocation, or a dry run, back: when it returns nil, that
// survives a crash, and the tokens pass again as far as no other record revokes
// them. It returns what is stored then; what was restored already stays as it
// is. The error is [ErrNotFound] where no live record has the key.
func (d *Denylist) Restore(ctx context.Context, key Key, by Decision) (Record, error) {
	r, err := d.reverse(ctx, key, by, Restored)
	if err != nil {
		return Record{}, fmt.Errorf("restoring: %w", err)
	}
	if r.Effect == Restored {
		d.trials.end(key)
	}
	return r, nil
}

// Enforce makes a dry run refuse, or revokes again what was restored, with the
// bounds that the record has. It returns what is stored then. The error is
// [ErrNotFound] where no live record has the key.
func (d *Denylist) Enforce(ctx context.Context, key Key, by Decision) (Record, error) {
	r, err := d.reverse(ctx, key, by, Refuse)
	if err != nil {
		return Record{}, fmt.Errorf("enforcing: %w", err)
	}
	if r.Effect == Refuse {
		d.trials.end(key) // which is shown no more, and makes room for another
	}
	return r, nil
}

func (d *Denylist) reverse(ctx context.Context, key Key, by Decision, effect Effect) (Record, error) {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return Record{}, ErrClosed
	}
	r, err := d.get(key)
	if err != nil {
		return r, err
	}
	if r.Effect == effect {
		d.cache.outdate() // it may be so by a change that was given up before it was stored
		// Or by one that came in lazily, and is durable with what is put after it.
		return r, d.put(ctx, Batch{})
	}
	if key.Kind == KindUsed {
		return Record{}, fmt.Errorf("%w: that something was used cannot be reversed", ErrInvalid)
	}
	if effect > r.Effect || r.Effect == Restored {
		r.Version++
	}
	r.Effect, r.By, r.Reason, r.Operator, r.Revoked = effect, by.By, by.Reason, true, d.now()
	return d.decideReversal(ctx, r)
}

// decideReversal decides until what is stored is as it was decided, or was decided
// otherwise since. In a cluster other nodes decide at the same time.
func (d *Denylist) decideReversal(ctx context.Context, r Record) (stored Record, err error) {
	for range maxOutweighed {
		if err := d.decide(ctx, []Record{r}); err != nil {
			return Record{}, err
		}
		stored, err = d.get(r.Key)
		switch {
		case err != nil || !d.publishers.any():
			return stored, err
		case stored.Effect > r.Effect: // it was restored, and this node did not know
			if err := d.follow(&r); err != nil {
				return Record{}, err
			}
		case stored.Effect == r.Effect && stored.Expires.After(r.Expires):
			// It was revoked for longer, and this node did not know: then it is
			// restored for longer, and whoever hears of that hears of this.
			r = stored
		default:
			return stored, nil
		}
	}
	return Record{}, fmt.Errorf("%w: others decide otherwise again and again", ErrBusy)
}

// Get returns the live record of a key, restored or not, as the store has it, or
// [ErrNotFound].
func (d *Denylist) Get(key Key) (Record, error) {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return Record{}, ErrClosed
	}
	return d.get(key)
}

func (d *Denylist) get(key Key) (Record, error) {
	r, err := d.store.Get(key)
	if err == nil && !d.Live(&r) {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", key, err)
	}
	return r, nil
}

// Scan calls f with every live record from a key on, as [Store.Scan] does. f must
// not call the denylist.
func (d *Denylist) Scan(ctx context.Context, from Key, f func(Record) error) error {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return ErrClosed
	}
	return d.store.Scan(ctx, from, func(r Record) error {
		if !d.Live(&r) {
			return nil
		}
		return f(r)
	})
}

// Ping says whether the store can be read: nil, or why not.
func (d *Denylist) Ping() error {
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return ErrClosed
	}
	if _, err := d.store.Get(Key{Kind: KindToken}); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("reading the store: %w", err)
	}
	return nil
}
