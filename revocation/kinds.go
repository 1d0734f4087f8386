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

// kinds knows when the last record ends that there has been, in Unix seconds; 0
// if there has been none. An end is only ever moved later: what comes too late to
// be forgotten costs a look, what is forgotten too early lets a revoked token
// through.
type kinds struct {
	latest [1 << 8]atomic.Int64 // by kind
	rules  atomic.Int64         // of any kind of rule
}

func (k *kinds) note(kind Kind, end time.Time) {
	moveLater(&k.latest[kind], end.Unix())
	if kind.Rule() {
		moveLater(&k.rules, end.Unix())
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

// Has says whether a record of the kind may be live, so that it is worth finding
// out under which keys of that kind a token falls. False is certain. Where there
// has been no such record, it costs one load from memory.
func (d *Denylist) Has(kind Kind) bool {
	end := d.kinds.latest[kind].Load()
	return end > 0 && end > d.ended().Unix()
}
