package caddymodule

import (
	"fmt"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/strictjson"
)

// order is what is to be revoked, as it stands in a body.
type order struct {
	operator.Target

	IssuedBefore moment `json:"issued_before"`
	Expires      moment `json:"expires"`
	DryRun       bool   `json:"dry_run"`
	By           string `json:"by"`
	Reason       string `json:"reason"`
}

// readOrder reads one strictly; what of it makes no sense, the order itself finds
// out. The error is [operator.ErrInvalid].
func readOrder(b []byte, now time.Time) (operator.Order, error) {
	var o order
	if err := strictjson.Unmarshal(b, &o); err != nil {
		return operator.Order{}, fmt.Errorf("%w: %w", operator.ErrInvalid, err)
	}
	return o.at(now)
}

// at is the order with its times as they are meant at a time.
func (o *order) at(now time.Time) (operator.Order, error) {
	issued, err := o.IssuedBefore.at(now)
	if err != nil {
		return operator.Order{}, fmt.Errorf("%w: issued_before %w", operator.ErrInvalid, err)
	}
	expires, err := o.Expires.at(now)
	if err != nil {
		return operator.Order{}, fmt.Errorf("%w: expires %w", operator.ErrInvalid, err)
	}
	return operator.Order{
		Target: o.Target, IssuedBefore: issued, Expires: expires, DryRun: o.DryRun, By: o.By, Reason: o.Reason,
	}, nil
}
