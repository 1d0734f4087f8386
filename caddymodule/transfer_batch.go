package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
)

// importBatch is how many records share a commit, for which the revocations of
// clients have to wait.
const importBatch = 2000

// imported is what became of the lines of a request.
type imported struct {
	// Lines is how many were read. What they say is durable, or had ended already,
	// or they are bad or blank.
	Lines int `json:"lines"`
	// Stored is how many of them were stored, and Ended how many had ended already.
	Stored int       `json:"stored"`
	Ended  int       `json:"ended"`
	Bad    []badLine `json:"bad,omitempty"`
}

func (i *imported) add(more imported) {
	i.Lines += more.Lines
	i.Stored += more.Stored
	i.Ended += more.Ended
	i.Bad = append(i.Bad, more.Bad...)
}

// badLine is a line that cannot be imported.
type badLine struct {
	Line int    `json:"line"`
	Why  string `json:"error"`
}

func (b badLine) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Why) }

var errTooMany = fmt.Errorf("%w: it has more than %d lines", body.ErrTooLarge, maxLines)

// importing is an import that runs.
type importing struct {
	app       *App
	list      *revocation.Denylist
	by        string // of tokens and rules that do not say
	keepGoing bool

	imported
	counts map[revocation.Kind]int // of the records that were stored
	rules  []revocation.Record     // of those, the ones that may be about many tokens
	batch  batch
}

// batch is what waits to be stored.
type batch struct {
	imported
	applied []revocation.Record // as they are
	revoked []revocation.Record // anew
	keys    map[revocation.Key]bool
}

// run stores what stands in the lines. The error is a [badLine], errTooMany, or why
// the rest could not be stored; what was counted is stored all the same.
func (im *importing) run(ctx context.Context, body []byte) error {
	n := 0
	for line := range bytes.Lines(body) {
		if n++; n > maxLines {
			return im.last(ctx, errTooMany)
		}
		found, err := im.readLine(line, time.Now())
		if err != nil {
			bad := badLine{Line: n, Why: err.Error()}
			if !im.keepGoing {
				return im.last(ctx, bad)
			}
			im.batch.Bad = append(im.batch.Bad, bad)
		}
		if err := im.put(ctx, found); err != nil {
			return err
		}
	}
	return im.flush(ctx)
}

// last stores what was read, and returns the error with which it ends.
func (im *importing) last(ctx context.Context, end error) error {
	if err := im.flush(ctx); err != nil {
		return err
	}
	return end
}

// put adds what a line means to the batch.
func (im *importing) put(ctx context.Context, found entry) error {
	b := &im.batch
	for _, r := range found.records {
		// The batch revokes after it applies, which must be as if it was one by one.
		if !found.anew && b.keys[r.Key] {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
	b.Lines++
	switch {
	case found.ended:
		b.Ended++
	case len(found.records) == 0:
	case found.anew:
		b.Stored++
		b.revoked = append(b.revoked, found.records...)
		for _, r := range found.records {
			b.keys[r.Key] = true
		}
	default:
		b.Stored++
		b.applied = append(b.applied, found.records...)
	}
	if len(b.applied)+len(b.revoked) >= importBatch {
		return im.flush(ctx)
	}
	return nil
}

// flush stores the batch.
func (im *importing) flush(ctx context.Context) error {
	b := &im.batch
	for _, step := range []struct {
		records []revocation.Record
		store   func(context.Context, ...revocation.Record) error
	}{{b.applied, im.list.Apply}, {b.revoked, im.list.Revoke}} {
		if len(step.records) == 0 {
			continue
		}
		// Neighbours share a page of the file.
		slices.SortFunc(step.records, func(x, y revocation.Record) int { return x.Key.Compare(y.Key) })
		if err := step.store(ctx, step.records...); err != nil {
			return err
		}
		metrics.revocations.changed(wayImport, step.records)
		for _, r := range step.records {
			im.counts[r.Key.Kind]++
			if r.Key.Kind.IssuedBefore() {
				im.rules = append(im.rules, r)
			}
		}
	}
	im.imported.add(b.imported)
	clear(b.keys)
	*b = batch{applied: b.applied[:0], revoked: b.revoked[:0], keys: b.keys}
	return nil
}

func newImporting(app *App, list *revocation.Denylist) *importing {
	return &importing{
		app: app, list: list,
		counts: make(map[revocation.Kind]int), batch: batch{keys: make(map[revocation.Key]bool)},
	}
}
