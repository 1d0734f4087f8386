package revocation

import (
	"context"
	"fmt"
)

// Use makes records durable as [Denylist.Revoke] does, and in the same commit
// that something has been used which may be used only once: of all calls with
// the key of once, as long as that record lives, only one ever succeeds, also
// beside each other and after a restart. The others return [ErrUsed] and change
// nothing. After another error nothing has been used, or everything is done. A
// record that has ended cannot say that anything was used: that is [ErrInvalid].
func (d *Denylist) Use(ctx context.Context, once Record, records ...Record) error {
	if _, busy := d.inUse.LoadOrStore(once.Key, nil); busy {
		return fmt.Errorf("using %s: %w", once.Key, ErrUsed)
	}
	defer d.inUse.Delete(once.Key)
	if !d.Live(&once) {
		return fmt.Errorf("using %s: %w: it has ended", once.Key, ErrInvalid)
	}
	switch verdict := d.Check(&once.Key); verdict.Outcome {
	case Revoked:
		return fmt.Errorf("using %s: %w", once.Key, ErrUsed)
	case Unknown:
		return fmt.Errorf("using %s: %w", once.Key, verdict.Err)
	}
	return d.Revoke(ctx, append([]Record{once}, records...)...)
}
