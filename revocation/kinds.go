package revocation

import (
	"sync/atomic"
	"time"
)

// kinds knows, by kind, when the last record ends that there has been, in Unix
// seconds; 0 if there has been none. An end is only ever moved later: what comes
// too late to be forgotten costs a look, what is forgotten too early lets a
// revoked token through.
type kinds [1 << 8]atomic.Int64

func (k *kinds) note(kind Kind, end time.Time) {
	latest := &k[kind]
	for seconds := end.Unix(); ; {
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
	end := d.kinds[kind].Load()
	return end > 0 && d.now().Before(time.Unix(end, 0).Add(time.Duration(d.leeway.Load())))
}
