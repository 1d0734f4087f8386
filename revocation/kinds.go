package revocation

import (
	"sync/atomic"
	"time"
)

// KindSet is a set of kinds.
type KindSet uint16

// KindsOf is the set of some kinds.
func KindsOf(kinds ...Kind) (s KindSet) {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has says whether a kind is in the set.
func (s KindSet) Has(k Kind) bool { return s>>k&1 != 0 }

// AllRules are the kinds of rules, see [Kind.Rule].
var AllRules = KindsOf(KindSession, KindJTI, KindSubject, KindClient, KindKey, KindIssuer)

// kinds knows when the last rule ends that there has been, in Unix seconds; 0 if
// there has been none. An end is only ever moved later: what comes too late to be
// forgotten costs a look, what is forgotten too early lets a revoked token
// through.
type kinds struct {
	latest [kindCount]atomic.Int64 // by kind
	any    atomic.Int64

	tried [kindCount]atomic.Bool // whether there has been a dry run, by kind
	other [kindCount]atomic.Bool // whether not all of a kind has been [Record.plainly] revoked
}

// meets notes what is not plainly revoked. That has to come before anybody can find it
// in the store.
func (k *kinds) meets(r *Record) {
	if r.plainly() || r.Key.Kind >= kindCount {
		return
	}
	k.other[r.Key.Kind].Store(true)
	if r.Effect == Count {
		k.tried[r.Key.Kind].Store(true)
	}
}

func (k *kinds) note(kind Kind, end time.Time) {
	if kind.Rule() {
		moveLater(&k.latest[kind], end.Unix())
		moveLater(&k.any, end.Unix())
	}
}

func moveLater(latest *atomic.Int64, seconds int64) {
	for {
		before := latest.Load()
		if seconds <= before || latest.CompareAndSwap(before, seconds) {
			return
		}
	}
}
