package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Filter says which records are of interest. What is zero is of none.
type Filter struct {
	// Kinds are those of the records; empty is all but KindUsed.
	Kinds []revocation.Kind
	// Effects are those of the records; empty is all.
	Effects []revocation.Effect
	// Issuer and Value are what a rule is about, and By who made the record.
	Issuer, Value, By string
	// Since and Until bound when the record was made, or last reversed: not before
	// Since, and before Until.
	Since, Until time.Time
}

func (f *Filter) matches(r *revocation.Record) bool {
	is := func(wanted, has string) bool { return wanted == "" || wanted == has }
	return is(f.Issuer, r.Issuer) && is(f.Value, r.Value) && is(f.By, r.By) &&
		(len(f.Effects) == 0 || slices.Contains(f.Effects, r.Effect)) &&
		(f.Since.IsZero() || !r.Revoked.Before(f.Since)) &&
		(f.Until.IsZero() || r.Revoked.Before(f.Until))
}

// kinds are those to look through, in the order of their keys.
func (f *Filter) kinds() (list []revocation.Kind) {
	for _, kind := range revocation.Kinds() {
		if len(f.Kinds) == 0 && kind != revocation.KindUsed || slices.Contains(f.Kinds, kind) {
			list = append(list, kind)
		}
	}
	return list
}

// Page is a part of a list, in the order of keys.
type Page struct {
	Records []revocation.Record
	// Next is the key behind which the list goes on; zero at its end.
	Next revocation.Key
}

// maxLooked bounds how many records a page looks at, so that one that matches
// little is short rather than slow.
const maxLooked = 20_000

// List returns at most limit records that match, of those whose keys come after
// one; zero is from the first. A record that stays is on exactly one page,
// whatever comes and goes meanwhile.
func List(ctx context.Context, list *revocation.Denylist, f Filter, after revocation.Key, limit int) (Page, error) {
	// Records have no finer times.
	f.Since, f.Until = f.Since.Truncate(time.Millisecond), f.Until.Truncate(time.Millisecond)
	p := pager{filter: &f, limit: limit, last: after}
	for _, kind := range f.kinds() {
		if after.Kind > kind {
			continue
		}
		from := revocation.Key{Kind: kind}
		if after.Kind == kind {
			from = after
		}
		err := list.Scan(ctx, from, func(r revocation.Record) error { return p.look(kind, r) })
		if errors.Is(err, errFull) {
			return Page{Records: p.records, Next: p.last}, nil
		}
		if err != nil && !errors.Is(err, errEnough) {
			return Page{}, fmt.Errorf("listing: %w", err)
		}
	}
	return Page{Records: p.records}, nil
}

// errFull ends a page that is not the last.
var errFull = errors.New("the page is full")

// pager fills a page.
type pager struct {
	filter  *Filter
	limit   int
	records []revocation.Record
	last    revocation.Key // that was looked at, and need not be again
	looked  int
}

func (p *pager) look(kind revocation.Kind, r revocation.Record) error {
	switch {
	case r.Key.Kind != kind:
		return errEnough
	case r.Key == p.last:
		return nil
	case p.looked == maxLooked:
		return errFull
	}
	p.looked++
	if p.filter.matches(&r) {
		if len(p.records) == p.limit {
			return errFull
		}
		p.records = append(p.records, r)
	}
	p.last = r.Key
	return nil
}
