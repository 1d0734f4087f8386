package operator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// all goes through the pages of a list.
func (f *fixture) all(filter operator.Filter, limit int) (keys []revocation.Key, pages int) {
	f.t.Helper()
	var after revocation.Key
	for {
		page, err := operator.List(f.t.Context(), f.Denylist, filter, after, limit)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(page.Records) > limit {
			f.t.Errorf("%d records on a page of %d", len(page.Records), limit)
		}
		for _, r := range page.Records {
			keys = append(keys, r.Key)
		}
		pages++
		if page.Next == (revocation.Key{}) {
			return keys, pages
		}
		after = page.Next
	}
}

func TestList(t *testing.T) {
	f := newFixture(t)
	var stored []revocation.Record
	for _, kind := range revocation.Kinds() {
		for i := range 10 {
			value := fmt.Sprint(i)
			if kind == revocation.KindIssuer {
				value = ""
			}
			r := revocation.Record{
				Key: revocation.RuleKey(kind, idp+fmt.Sprint(i), value), Issuer: idp + fmt.Sprint(i), Value: value,
				Revoked: t0.Add(time.Duration(i) * time.Minute), Expires: t0.Add(time.Hour), By: fmt.Sprint("client", i%3),
				Effect: revocation.Effect(i % 3), Operator: true,
			}
			if kind.IssuedBefore() {
				r.IssuedBefore = t0
			}
			if kind == revocation.KindUsed { // which is never reversed
				r.Effect = revocation.Refuse
			}
			stored = append(stored, r)
		}
	}
	if err := f.Apply(t.Context(), stored...); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter operator.Filter
		want   func(r *revocation.Record) bool
	}{
		"all but what was used": {operator.Filter{}, func(r *revocation.Record) bool { return r.Key.Kind != revocation.KindUsed }},
		"used": {operator.Filter{Kinds: []revocation.Kind{revocation.KindUsed}},
			func(r *revocation.Record) bool { return r.Key.Kind == revocation.KindUsed }},
		"two kinds": {operator.Filter{Kinds: []revocation.Kind{revocation.KindIssuer, revocation.KindJTI, revocation.KindJTI}},
			func(r *revocation.Record) bool {
				return r.Key.Kind == revocation.KindJTI || r.Key.Kind == revocation.KindIssuer
			}},
		"effect": {operator.Filter{Effects: []revocation.Effect{revocation.Refuse, revocation.Restored}},
			func(r *revocation.Record) bool {
				return r.Key.Kind != revocation.KindUsed && r.Effect != revocation.Count
			}},
		"issuer": {operator.Filter{Issuer: idp + "3"},
			func(r *revocation.Record) bool { return r.Key.Kind != revocation.KindUsed && r.Issuer == idp+"3" }},
		"value and who": {operator.Filter{Value: "4", By: "client1"},
			func(r *revocation.Record) bool { return r.Key.Kind != revocation.KindUsed && r.Value == "4" }},
		"time": {operator.Filter{Since: t0.Add(2 * time.Minute), Until: t0.Add(4 * time.Minute)},
			func(r *revocation.Record) bool {
				return r.Key.Kind != revocation.KindUsed && (r.Issuer == idp+"2" || r.Issuer == idp+"3")
			}},
		"nothing": {operator.Filter{Issuer: idp}, func(*revocation.Record) bool { return false }},
	} {
		var want []revocation.Key
		for _, r := range stored {
			if c.want(&r) {
				want = append(want, r.Key)
			}
		}
		slices.SortFunc(want, revocation.Key.Compare)
		for _, limit := range []int{1, 2, 7, len(want), len(want) + 1, 1000} {
			if got, pages := f.all(c.filter, max(limit, 1)); !slices.Equal(got, want) {
				t.Errorf("%s, %d on a page: %v, want %v", name, limit, got, want)
			} else if bound := len(want)/max(limit, 1) + 1; pages > bound {
				t.Errorf("%s, %d on a page: %d pages for %d records", name, limit, pages, len(want))
			}
		}
	}
}

// A page that matches nothing of very much ends, and the list goes on behind it.
func TestListLooksAtABoundedNumber(t *testing.T) {
	f := newFixture(t)
	const n = 45_000
	batch := make([]revocation.Record, n)
	for i := range batch {
		batch[i] = revocation.Record{Key: revocation.Key{Kind: revocation.KindToken}, Revoked: t0, Expires: t0.Add(time.Hour), By: "a"}
		copy(batch[i].Key.Digest[:], fmt.Sprintf("%08d", i))
	}
	batch[n-1].By = "b"
	if err := f.Apply(t.Context(), batch...); err != nil {
		t.Fatal(err)
	}
	keys, pages := f.all(operator.Filter{By: "b"}, 100)
	if len(keys) != 1 || keys[0] != batch[n-1].Key || pages != 3 {
		t.Errorf("%v on %d pages", keys, pages)
	}
}

func TestFind(t *testing.T) {
	f := newFixture(t)
	var records []revocation.Record
	for _, digits := range []string{"0123456789ab", "0123456789ac", "0123456789ac", "ffffffffffff"} {
		id := "token:" + digits + strings.Repeat(fmt.Sprint(len(records)), 52)
		key, err := revocation.ParseID(id)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, revocation.Record{Key: key, Revoked: t0, Expires: t0.Add(time.Hour)})
	}
	if err := f.Apply(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]any{
		records[0].Key.ID():                  records[0],
		strings.ToUpper(records[0].Key.ID()): operator.ErrInvalid,
		"token:0123456789ab":                 records[0],
		"token:0123456789AB0":                records[0],
		"token:0123456789ac":                 operator.ErrAmbiguous,
		"token:0123456789ac1":                records[1],
		"token:0123456789ac2222":             records[2],
		"token:0123456789ac3":                revocation.ErrNotFound,
		"token:ffffffffffff":                 records[3],
		"token:fffffffffffff":                revocation.ErrNotFound,
		"jti:0123456789ab":                   revocation.ErrNotFound,
		"token:" + strings.Repeat("0", 64):   revocation.ErrNotFound,
		"token:0123456789a":                  operator.ErrInvalid,
		"token:0123456789ag":                 operator.ErrInvalid,
		"token":                              operator.ErrInvalid,
		"":                                   operator.ErrInvalid,
	} {
		got, err := operator.Find(t.Context(), f.Denylist, id)
		if wantErr, ok := want.(error); ok {
			if !errors.Is(err, wantErr) {
				t.Errorf("%s: %+v %v, want %v", id, got, err, wantErr)
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", id, got, err, want)
		}
	}
}
