package endpoint

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// DefaultMaxRecords is how many live records a client may have for which nothing
// else is set.
const DefaultMaxRecords = 1_000_000

func (c *Client) maxRecords() int { return cmp.Or(c.MaxRecords, DefaultMaxRecords) }

// attempt does what a request asks for. Everything that can be wrong with the
// request is found before anything is done, and before it is passed on.
func (e *Endpoint) attempt(lists Lists, h http.Header, r *http.Request, b []byte, err error) (done Outcome, refused *refusal) {
	form, refused := e.manner.read(r, b, err)
	if refused != nil {
		return done, refused
	}
	how := attempted(r.Header["Authorization"], form)
	defer func() {
		if refused.unproved() {
			done.Unproved = how
		}
	}()
	client, proof, refused := e.admit(r, form)
	if refused != nil {
		return done, refused
	}
	done.Client = client.proved()
	corsOf(client, h)
	// A client that hangs up has asked all the same.
	ctx := context.WithoutCancel(r.Context())
	deciding, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	v, refused := e.decide(deciding, client, form["token"])
	if refused != nil {
		return done, refused
	}
	list, err := lists(deciding)
	if err != nil {
		return done, unavailable(err)
	}
	pass := e.relay != nil && (v.unknown || len(v.records) > 0)
	v.records = slices.DeleteFunc(v.records, func(r revocation.Record) bool { return !list.Live(&r) })
	claim, refused := claimed(list, proof)
	if refused != nil {
		return done, refused
	}
	defer claim.release()
	if refused = e.foresee(list, client, v.records); refused != nil {
		return done, refused
	}
	if pass {
		e.owed.begin(v.token, v.records)
		if refused = e.pass(ctx, r, b); refused != nil {
			return done, refused
		}
		done.Client = client.ID
	}
	committing, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if refused = claim.commit(committing, v.records); refused != nil {
		return done, refused
	}
	e.owed.end(v.token, client.by())
	done.Records, done.Err = v.records, v.unjudged
	if len(v.records) > 0 {
		e.revoked(r.Context(), how, v.records)
	}
	if len(v.records) == 0 && !pass {
		return done, e.manner.unknown()
	}
	return done, nil
}

// foresee refuses what is more than the client's share of records. What is revoked
// already can be revoked again in any case.
// Requests side by side do not see each other's records, so that a client can
// exceed its share by as many as it has under way.
func (e *Endpoint) foresee(list *revocation.Denylist, client *Client, records []revocation.Record) *refusal {
	share := list.Share(client.by())
	if share.Records+len(records) <= client.maxRecords() {
		return nil
	}
	more := 0
	for i := range records {
		if list.Check(&records[i].Key).Outcome != revocation.Revoked {
			more++
		}
	}
	if more == 0 || share.Records+more <= client.maxRecords() {
		return nil
	}
	return tooMany(LimitRecords, "the client has as many revocations stored as it may", share.Frees.Sub(e.now()))
}

// claim is that nobody else can use a proof until what it proves is done: neither
// here, nor with the authorization server.
type claim struct {
	list *revocation.Denylist
	used *revocation.Claim // nil without a proof
}

func claimed(list *revocation.Denylist, proof *revocation.Record) (claim, *refusal) {
	if proof == nil {
		return claim{list: list}, nil
	}
	used, err := list.Claim(*proof)
	switch {
	case errors.Is(err, revocation.ErrUsed):
		return claim{}, invalidClient(false)
	case err != nil:
		return claim{}, unavailable(err)
	}
	return claim{list, used}, nil
}

// commit makes records durable, and with them that the proof has been used.
func (c claim) commit(ctx context.Context, records []revocation.Record) *refusal {
	var err error
	if c.used != nil {
		err = c.used.Use(ctx, records...)
	} else {
		err = c.list.Revoke(ctx, records...)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

func (c claim) release() {
	if c.used != nil {
		c.used.Release()
	}
}
