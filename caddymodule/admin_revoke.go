package caddymodule

import (
	"cmp"
	"context"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// adminTimeout bounds how long an operator waits for a change to become durable.
const adminTimeout = 10 * time.Second

// changed is the answer to a change: what is stored then.
type changed struct {
	Records []operator.Record `json:"records"`
}

// revoke answers an order.
func (c *call) revoke() (any, error) {
	b, err := c.body()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	o, err := readOrder(b, now)
	if err != nil {
		return nil, err
	}
	return c.change(revocation.Decision{By: o.By, Reason: o.Reason}, func(ctx context.Context) ([]revocation.Record, error) {
		return operator.Revoke(ctx, c.list, o, now, time.Duration(c.app.Retain))
	})
}

// restoration is what is to be taken back, as it stands in a body.
type restoration struct {
	operator.Target

	By     string `json:"by"`
	Reason string `json:"reason"`
}

func (c *call) restore() (any, error) {
	var what restoration
	if err := c.read(&what); err != nil {
		return nil, err
	}
	by := revocation.Decision{By: what.By, Reason: what.Reason}
	return c.change(by, func(ctx context.Context) ([]revocation.Record, error) {
		return operator.Restore(ctx, c.list, what.Target, by)
	})
}

// change does what changes records, also when the operator has hung up, and tells
// of it.
func (c *call) change(by revocation.Decision, do func(context.Context) ([]revocation.Record, error)) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), adminTimeout)
	defer cancel()
	records, err := do(ctx)
	metrics.revocations.administered(wayAdmin, err)
	answer := changed{Records: []operator.Record{}}
	for i := range records {
		answer.Records = append(answer.Records, operator.RecordIn(c.list, records[i]))
		// Who has done it is this operator, whoever was the first to do so.
		records[i].By, records[i].Operator, records[i].Reason = cmp.Or(by.By, operator.DefaultBy), true, by.Reason
	}
	c.app.audit(ctx, wayAdmin, records...)
	if _, list := running(); err == nil && list != c.list {
		return nil, errReloading // which may not know of it
	}
	return answer, err
}
