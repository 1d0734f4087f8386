package cluster

import (
	"context"
	"slices"
	"sync"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// awaited is what was published here and has to come by in the feed, as all else
// does, before it is promised to anybody. Then this node knows of everything that
// came before it and would count more; and its cursor stands behind it, so that an
// engine which loses it is found out.
type awaited struct {
	mu      sync.Mutex
	records map[revocation.Record][]*arrival
}

// arrival is that of some records.
type arrival struct {
	records []revocation.Record
	missing int           // of them; guarded by awaited
	came    chan struct{} // is closed when all of them have come by
}

func (a *awaited) add(records []revocation.Record) *arrival {
	added := &arrival{records: records, missing: len(records), came: make(chan struct{})}
	if len(records) == 0 { // all was given up
		close(added.came)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.records == nil {
		a.records = make(map[revocation.Record][]*arrival)
	}
	for _, r := range records {
		a.records[r] = append(a.records[r], added)
	}
	return added
}

// any says whether some of the records are awaited.
func (a *awaited) any(records []revocation.Record) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		if len(a.records) == 0 {
			return false
		}
		if _, ok := a.records[r]; ok {
			return true
		}
	}
	return false
}

// came takes note of records that have come by and are enforced here.
func (a *awaited) came(records []revocation.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		if len(a.records) == 0 {
			return
		}
		for _, one := range a.records[r] {
			if one.missing--; one.missing == 0 {
				close(one.came)
			}
		}
		delete(a.records, r)
	}
}

// forget gives up waiting for what has not come by.
func (a *awaited) forget(expected *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if expected.missing == 0 {
		return
	}
	for _, r := range expected.records {
		others := slices.DeleteFunc(a.records[r], func(one *arrival) bool { return one == expected })
		if len(others) == 0 {
			delete(a.records, r)
		} else {
			a.records[r] = others
		}
	}
}

// wait waits for an arrival, and no longer than applyTimeout.
func (a *awaited) wait(ctx context.Context, expected *arrival) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	select {
	case <-expected.came:
		return nil
	case <-ctx.Done():
		a.forget(expected)
		return context.Cause(ctx)
	}
}
