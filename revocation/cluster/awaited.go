package cluster

import (
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
	records map[revocation.Record][]*publication
}

func (a *awaited) add(p *publication) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.records == nil {
		a.records = make(map[revocation.Record][]*publication)
	}
	for _, r := range p.records {
		a.records[r] = append(a.records[r], p)
	}
	p.missing = len(p.records)
}

// came takes note of records that have come by and are enforced here.
func (a *awaited) came(records []revocation.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		if len(a.records) == 0 {
			return
		}
		for _, p := range a.records[r] {
			if p.missing--; p.missing == 0 {
				close(p.came)
			}
		}
		delete(a.records, r)
	}
}

// forget gives up waiting for what has not come by.
func (a *awaited) forget(p *publication) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.missing == 0 {
		return
	}
	for _, r := range p.records {
		others := slices.DeleteFunc(a.records[r], func(one *publication) bool { return one == p })
		if len(others) == 0 {
			delete(a.records, r)
		} else {
			a.records[r] = others
		}
	}
}
