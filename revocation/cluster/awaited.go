package cluster

import (
	"sync"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// awaited is what was published here and has to come by in the feed, as all else
// does, before it is promised to anybody. Then this node knows of everything that
// came before it and would count more; and its cursor stands behind it, so that an
// engine which loses it is found out.
type awaited struct {
	mu      sync.Mutex
	records map[string][]*publication // by all that they say
}

func (a *awaited) add(p *publication) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.records == nil {
		a.records = make(map[string][]*publication)
	}
	for i := range p.records {
		said := string(encoded(&p.records[i]))
		a.records[said] = append(a.records[said], p)
	}
	p.missing = len(p.records)
}

// came takes note of records that have come by and are enforced here.
func (a *awaited) came(records []revocation.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range records {
		if len(a.records) == 0 {
			return
		}
		said := encoded(&records[i])
		for _, p := range a.records[string(said)] {
			if p.missing--; p.missing == 0 {
				close(p.came)
			}
		}
		delete(a.records, string(said))
	}
}

// forget gives up waiting for what has not come by.
func (a *awaited) forget(p *publication) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range p.records {
		said := string(encoded(&p.records[i]))
		var others []*publication
		for _, one := range a.records[said] {
			if one != p {
				others = append(others, one)
			}
		}
		if others == nil {
			delete(a.records, said)
		} else {
			a.records[said] = others
		}
	}
}

// encoded is all that a record says.
func encoded(r *revocation.Record) []byte {
	key := r.Key.Bytes()
	return r.AppendValue(key[:])
}
