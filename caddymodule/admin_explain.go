package caddymodule

import (
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// explanation is the answer to a question why.
type explanation struct {
	// Refused is whether it is refused here, and Until until when: leeway is in it.
	Refused bool      `json:"refused"`
	Until   time.Time `json:"until,omitzero"`
	// IssuedAt is when a token was issued, if it clearly says so.
	IssuedAt time.Time `json:"issued_at,omitzero"`
	Matches  []match   `json:"matches"`
}

// match is a record that is about what was asked for.
type match struct {
	Record  operator.Record `json:"record"`
	Refuses bool            `json:"refuses"`
	Why     string          `json:"why"`
}

func (c *call) explain() (any, error) {
	var target operator.Target
	if err := c.read(&target); err != nil {
		return nil, err
	}
	found, err := operator.Explain(c.r.Context(), c.list, c.app.names, target)
	if err != nil {
		return nil, err
	}
	answer := explanation{Refused: found.Refused, IssuedAt: found.Issued.UTC(), Matches: []match{}}
	if found.Refused {
		until := found.Until.Add(time.Duration(*c.app.Leeway))
		if until.After(revocation.MaxExpires) { // which JSON has no way to write
			until = revocation.MaxExpires
		}
		answer.Until = until.UTC()
	}
	for _, m := range found.Matches {
		answer.Matches = append(answer.Matches, match{operator.RecordIn(c.list, m.Record), m.Refuses, m.Why})
	}
	return answer, nil
}
