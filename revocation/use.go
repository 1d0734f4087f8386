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
	claim, err := d.Claim(once)
	if err != nil {
		return err
	}
	defer claim.Release()
	return claim.Use(ctx, records...)
}

// Claim is that something will be used which may be used only once. Until it is
// released, nobody else can use it.
type Claim struct {
	list *Denylist
	once Record
}

// Claim is the first half of [Denylist.Use], for what has to be done in between,
// and by one caller only. It is to be released in any case.
func (d *Denylist) Claim(once Record) (*Claim, error) {
	if _, busy := d.inUse.LoadOrStore(once.Key, nil); busy {
		return nil, fmt.Errorf("using %s: %w", once.Key, ErrUsed)
	}
	c := &Claim{list: d, once: once}
	var err error
	switch verdict := d.Check(&once.Key); verdict.Outcome {
	case Clear:
		return c, nil
	case Revoked:
		err = ErrUsed
	default:
		err = verdict.Err
	}
	c.Release()
	return nil, fmt.Errorf("using %s: %w", once.Key, err)
}

// Use is the second half of [Denylist.Use].
func (c *Claim) Use(ctx context.Context, records ...Record) error {
	if !c.list.Live(&c.once) {
		return fmt.Errorf("using %s: %w: it has ended", c.once.Key, ErrInvalid)
	}
	return c.list.Revoke(ctx, append([]Record{c.once}, records...)...)
}

// Release lets others try again what has not been used.
func (c *Claim) Release() { c.list.inUse.Delete(c.once.Key) }
