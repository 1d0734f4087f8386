package model

import (
	"fmt"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// record stands for a real record: an index into the table. 0 is none.
type record uint8

// maxRecords bounds the records of a search, so that a set of them is a word.
const maxRecords = 64

type records uint64

func (s records) has(r record) bool     { return s&(1<<r) != 0 }
func (s records) with(r record) records { return s | 1<<r }
func (s records) less(r record) records { return s &^ (1 << r) }

// table holds the records of a search, and what [revocation.Merge] makes of them.
type table struct {
	list   []revocation.Record
	index  map[revocation.Record]record
	merged map[[2]record]record
	merge  func(a, b revocation.Record) revocation.Record
}

func newTable(merge func(a, b revocation.Record) revocation.Record) *table {
	return &table{
		list:   make([]revocation.Record, 1, maxRecords),
		index:  make(map[revocation.Record]record),
		merged: make(map[[2]record]record),
		merge:  merge,
	}
}

func (t *table) enter(r revocation.Record) record {
	if n, ok := t.index[r]; ok {
		return n
	}
	if len(t.list) == maxRecords {
		panic("too many records for one search")
	}
	n := record(len(t.list))
	t.list, t.index[r] = append(t.list, r), n
	return n
}

func (t *table) get(n record) *revocation.Record { return &t.list[n] }

func (t *table) both(a, b record) record {
	switch {
	case a == 0:
		return b
	case b == 0 || a == b:
		return a
	}
	n, ok := t.merged[[2]record{a, b}]
	if !ok {
		n = t.enter(t.merge(t.list[a], t.list[b]))
		t.merged[[2]record{a, b}] = n
	}
	return n
}

// has says whether what a stands for includes b.
func (t *table) has(a, b record) bool { return a != 0 && t.both(a, b) == a }

func (t *table) key(n record) int { return int(t.list[n].Key.Digest[0]) }

func (t *table) until(n record) uint8 { return uint8(t.list[n].Expires.Unix()) }

func (t *table) restored(n record) bool { return t.list[n].Effect == revocation.Restored }

// decidedBy is the decision that a record is of, or the first of those that were
// merged into it.
func (t *table) decidedBy(n record) int { return int(t.list[n].Revoked.Unix()) }

// make is the record of a decision.
func (t *table) make(decision int, node uint8, key int, effect revocation.Effect, version uint64, expires uint8) record {
	r := revocation.Record{
		Key:     revocation.Key{Kind: revocation.KindToken},
		Revoked: time.Unix(int64(decision), 0).UTC(), Expires: time.Unix(int64(expires), 0).UTC(),
		By: string('A' + rune(node)), Effect: effect, Version: version,
	}
	r.Key.Digest[0] = byte(key)
	return t.enter(r)
}

func (t *table) describe(n record) string {
	if n == 0 {
		return "-"
	}
	r := t.get(n)
	return fmt.Sprintf("%c:%s/v%d/until%d/#%d", 'x'+rune(t.key(n)), r.Effect, r.Version, t.until(n), t.decidedBy(n))
}
