package revocation

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"time"
)

// Progress says how far a load is.
type Progress struct {
	Records int     // loaded so far
	Part    float64 // of the whole, from 0 to 1; an estimate
}

// maxLoaders bounds how many scans a load runs side by side.
const maxLoaders = 8

// errLoaded ends a scan at the end of its part.
var errLoaded = errors.New("loaded")

// load enters every live record of the store into the index, and into the
// shares unless they are nil. Digests are spread evenly, so that each processor
// can take an equal part of them.
func (d *Denylist) load(ctx context.Context, into *shares, report func(Progress)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make([]*bulks, min(runtime.GOMAXPROCS(0), maxLoaders))
	counts := make([]*shareCount, len(parts))
	meter := newMeter(len(parts), d.now, report)
	var wg sync.WaitGroup
	for i := range parts {
		parts[i], counts[i] = &bulks{indexes: &d.indexes}, newShareCount(d.now())
		wg.Go(func() {
			if err := d.loadPart(ctx, parts[i], counts[i], i, len(parts), meter); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	d.indexes.fill(parts)
	if into != nil {
		for _, count := range counts {
			into.fill(count)
		}
	}
	return nil
}

// border is the first key of part i of n. The last part has every other kind.
func border(i, n int) (k Key) {
	if i > 0 {
		k.Kind = KindToken
		binary.BigEndian.PutUint32(k.Digest[:], uint32(uint64(i)<<32/uint64(n)))
	}
	return k
}

func (d *Denylist) loadPart(ctx context.Context, into *bulks, shares *shareCount, i, n int, meter *meter) error {
	now, leeway := d.now(), time.Duration(d.leeway.Load())
	end := border(i+1, n)
	count := 0
	err := d.store.Scan(ctx, border(i, n), func(r Record) error {
		if i+1 < n && r.Key.Compare(end) >= 0 {
			return errLoaded
		}
		d.kinds.meets(&r)
		if r.live(now, leeway) {
			mark := r.mark()
			into.add(&mark, r.Expires)
			d.kinds.note(r.Key.Kind, r.Expires)
			shares.add(&r)
		}
		if count++; count%meterEvery == 0 {
			meter.count(i, &r.Key)
		}
		return nil
	})
	if errors.Is(err, errLoaded) {
		return nil
	}
	return err
}
