package caddymodule

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// page is a part of the list of records.
type page struct {
	Records []operator.Record `json:"records"`
	// Next is the id after which the list goes on.
	Next string `json:"next,omitempty"`
}

// records lists what matches.
func (c *call) records() (any, error) {
	query, err := c.query("kind", "effect", "issuer", "value", "client", "since", "until", "limit", "after")
	if err != nil {
		return nil, err
	}
	filter, err := readFilter(query, time.Now())
	if err != nil {
		return nil, err
	}
	limit, after, err := readPlace(query)
	if err != nil {
		return nil, err
	}
	found, err := operator.List(c.r.Context(), c.list, filter, after, limit)
	if err != nil {
		return nil, err
	}
	answer := page{Records: []operator.Record{}}
	for _, r := range found.Records {
		answer.Records = append(answer.Records, operator.RecordIn(c.list, r))
	}
	if found.Next != (revocation.Key{}) {
		answer.Next = found.Next.ID()
	}
	return answer, nil
}

func readFilter(query url.Values, now time.Time) (f operator.Filter, err error) {
	f.Issuer, f.Value, f.By = query.Get("issuer"), query.Get("value"), query.Get("client")
	for _, name := range names(query.Get("kind")) {
		kind, err := revocation.ParseKind(name)
		if err != nil {
			return f, invalidQuery("kind", fmt.Sprintf("must be of %v", revocation.Kinds()))
		}
		f.Kinds = append(f.Kinds, kind)
	}
	for _, name := range names(query.Get("effect")) {
		effect, err := revocation.ParseEffect(name)
		if err != nil {
			return f, invalidQuery("effect", "must be of refuse, count, restored")
		}
		f.Effects = append(f.Effects, effect)
	}
	if f.Since, err = moment(query.Get("since")).at(now); err != nil {
		return f, invalidQuery("since", err.Error())
	}
	if f.Until, err = moment(query.Get("until")).at(now); err != nil {
		return f, invalidQuery("until", err.Error())
	}
	return f, nil
}

// names are those of a list with commas; none if it is empty.
func names(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// readPlace reads how much of the list is wanted, and after which key.
func readPlace(query url.Values) (limit int, after revocation.Key, err error) {
	limit = defaultLimit
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
			return 0, after, invalidQuery("limit", fmt.Sprintf("must be from 1 to %d", maxLimit))
		}
	}
	if id := query.Get("after"); id != "" {
		if after, err = revocation.ParseID(id); err != nil {
			return 0, after, invalidQuery("after", "must be a whole id, such as the page before has as next")
		}
	}
	return limit, after, nil
}

func invalidQuery(name, wrong string) error {
	return fmt.Errorf("%w: %s %s", operator.ErrInvalid, name, wrong)
}

// record shows one.
func (c *call) record() (any, error) {
	if _, err := c.query(); err != nil {
		return nil, err
	}
	r, err := operator.Find(c.r.Context(), c.list, c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return operator.RecordIn(c.list, r), nil
}
