package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Revoke carries an order out and returns what is stored then, which may have been
// revoked before: nothing if all of it has ended. Now and retain are as in
// [Order.Records]. An id enforces its record as it is. Beside the errors of
// Records, Find and the denylist, it is [ErrRefuses] for a dry run of what is
// refused already. What it returns beside an error was changed all the same.
func Revoke(ctx context.Context, list *revocation.Denylist, o Order, now time.Time, retain time.Duration) ([]revocation.Record, error) {
	if o.ID != "" {
		return o.enforce(ctx, list)
	}
	records, err := o.Records(now, retain)
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(r revocation.Record) bool { return !list.Live(&r) })
	if o.DryRun {
		if err := tryable(list, records); err != nil {
			return nil, err
		}
	}
	if err := list.Revoke(ctx, records...); err != nil {
		return nil, err
	}
	return stored(list, records)
}

// tryable says whether a dry run can show anything.
func tryable(list *revocation.Denylist, records []revocation.Record) error {
	for i := range records {
		switch r, err := list.Get(records[i].Key); {
		case errors.Is(err, revocation.ErrNotFound):
		case err != nil:
			return err
		case r.Effect == revocation.Refuse:
			return ErrRefuses
		}
	}
	return nil
}

// enforce makes a record that is there refuse.
func (o *Order) enforce(ctx context.Context, list *revocation.Denylist) ([]revocation.Record, error) {
	if !o.IssuedBefore.IsZero() || !o.Expires.IsZero() || o.DryRun {
		return nil, invalid("an id", "takes its record as it is: issued_before, expires and dry_run are for a token or a rule")
	}
	by := revocation.Decision{By: o.By, Reason: o.Reason}
	return reverse(ctx, list, &o.Target, by, list.Enforce)
}

// Restore takes back what just the target is revoked by, and returns what is stored
// then. The error is [ErrInvalid], one of [Find], or [revocation.ErrNotFound] where
// there is no such record. What it returns beside an error was changed all the same.
func Restore(ctx context.Context, list *revocation.Denylist, target Target, by revocation.Decision) ([]revocation.Record, error) {
	return reverse(ctx, list, &target, by, list.Restore)
}

type reversal func(context.Context, revocation.Key, revocation.Decision) (revocation.Record, error)

// reverse does so with each record that there is of the target.
func reverse(ctx context.Context, list *revocation.Denylist, target *Target, by revocation.Decision, do reversal) ([]revocation.Record, error) {
	if err := checkDecision(by.By, by.Reason); err != nil {
		return nil, err
	}
	by.By = cmp.Or(by.By, DefaultBy)
	keys, err := target.keys(ctx, list)
	if err != nil {
		return nil, err
	}
	var records []revocation.Record
	for _, key := range keys {
		if key.Kind == revocation.KindUsed {
			return nil, invalid("id", "is that of something that was used, which cannot be changed")
		}
		r, err := do(ctx, key, by)
		if errors.Is(err, revocation.ErrNotFound) {
			continue
		}
		if err != nil {
			return records, err
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		return nil, revocation.ErrNotFound
	}
	return records, nil
}

// stored are the records that there are now of those that were stored.
func stored(list *revocation.Denylist, records []revocation.Record) ([]revocation.Record, error) {
	var now []revocation.Record
	for i := range records {
		r, err := list.Get(records[i].Key)
		if errors.Is(err, revocation.ErrNotFound) {
			continue
		}
		if err != nil {
			return records, fmt.Errorf("reading what was stored: %w", err)
		}
		now = append(now, r)
	}
	return now, nil
}
