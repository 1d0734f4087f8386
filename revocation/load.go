package revocation

import (
	"context"
	"encoding/binary"
	"time"
)

// Progress says how far a load is.
type Progress struct {
	Records int     // loaded so far
	Part    float64 // of the whole, from 0 to 1; an estimate
}

// load enters every live record of the store into the index.
func (d *Denylist) load(ctx context.Context, report func(Progress)) error {
	const often = 1 << 14 // records between two looks at the clock
	now, leeway := d.now(), time.Duration(d.leeway.Load())
	said, n := d.now(), 0
	return d.store.Scan(ctx, Key{}, func(r Record) error {
		if r.live(now, leeway) {
			d.index.add(&r.Key, r.Expires)
		}
		if n++; report != nil && n%often == 0 {
			if t := d.now(); t.Sub(said) >= time.Second {
				said = t
				// Digests are spread evenly and come in order.
				part := float64(binary.BigEndian.Uint32(r.Key.Digest[:])) / (1 << 32)
				report(Progress{Records: n, Part: part})
			}
		}
		return nil
	})
}
