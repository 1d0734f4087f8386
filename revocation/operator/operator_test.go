package operator_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

const (
	retain = 30 * 24 * time.Hour
	leeway = time.Minute
	idp    = "https://idp.example.com"
)

var t0 = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// fixture is a denylist with a store of its own, at t0.
type fixture struct {
	*revocation.Denylist
	t *testing.T
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	store, err := boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "denylist.db"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	list, err := revocation.Open(t.Context(), store, revocation.Options{
		CacheBytes: 1 << 20, Leeway: leeway, Now: func() time.Time { return t0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := list.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fixture{list, t}
}

func (f *fixture) revoke(o operator.Order) []revocation.Record {
	f.t.Helper()
	records, err := operator.Revoke(f.t.Context(), f.Denylist, o, t0, retain)
	if err != nil {
		f.t.Fatal(err)
	}
	return records
}

func rule(kind, value string) operator.Target {
	return operator.Target{Kind: kind, Issuer: idp, Value: value}
}

func jwt(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(claims)) + "." + encode(make([]byte, 64))
}

// What an order stores, by kind, with and without bounds.
func TestOrder(t *testing.T) {
	later := t0.Add(time.Hour)
	exp := fmt.Sprintf(`{"exp":%d}`, later.Unix())
	for name, c := range map[string]struct {
		order           operator.Order
		issued, expires time.Time
	}{
		"opaque token":          {operator.Order{Target: operator.Target{Token: "17|a"}}, time.Time{}, t0.Add(retain)},
		"opaque token, end":     {operator.Order{Target: operator.Target{Token: "17|a"}, Expires: later}, time.Time{}, later},
		"token with an end":     {operator.Order{Target: operator.Target{Token: jwt(exp)}}, time.Time{}, later},
		"that lives longer":     {operator.Order{Target: operator.Target{Token: jwt(exp)}, Expires: later.Add(1)}, time.Time{}, later.Add(time.Second)},
		"end in a string":       {operator.Order{Target: operator.Target{Token: jwt(fmt.Sprintf(`{"exp":"%d"}`, later.Unix()))}}, time.Time{}, t0.Add(retain)},
		"jti":                   {operator.Order{Target: rule("jti", "a")}, time.Time{}, t0.Add(retain)},
		"session":               {operator.Order{Target: rule("session", "a"), Expires: later}, time.Time{}, later},
		"subject":               {operator.Order{Target: rule("subject", "a")}, t0, t0.Add(retain)},
		"client, past":          {operator.Order{Target: rule("client", "a"), IssuedBefore: t0.Add(-time.Hour)}, t0.Add(-time.Hour), t0.Add(retain - time.Hour)},
		"key, future":           {operator.Order{Target: rule("key", "a"), IssuedBefore: t0.Add(retain)}, t0.Add(retain), t0.Add(2 * retain)},
		"the end of all time":   {operator.Order{Target: rule("key", "a"), IssuedBefore: revocation.MaxExpires}, revocation.MaxExpires, revocation.MaxExpires},
		"issuer, both":          {operator.Order{Target: rule("issuer", ""), IssuedBefore: later, Expires: later}, later, later},
		"part of a millisecond": {operator.Order{Target: rule("issuer", ""), IssuedBefore: t0.Add(1), Expires: later}, t0.Add(time.Millisecond), later},
	} {
		f := newFixture(t)
		c.order.By, c.order.Reason = "alice", "a reason"
		records := f.revoke(c.order)
		if len(records) != 1 {
			t.Errorf("%s: %v", name, records)
			continue
		}
		r := records[0]
		want := revocation.Record{
			Key: r.Key, Revoked: t0, Expires: c.expires, By: "alice", Operator: true, Reason: "a reason",
			Issuer: c.order.Issuer, Value: c.order.Value, IssuedBefore: c.issued,
		}
		if r != want {
			t.Errorf("%s: %+v, want %+v", name, r, want)
		}
		if f.Check(&r.Key).Outcome != revocation.Revoked {
			t.Errorf("%s: %+v does not refuse", name, r)
		}
	}
}

// A token that has several keys is revoked, and restored, under all of them.
func TestOrderOfSeveralSignatures(t *testing.T) {
	f := newFixture(t)
	parts := strings.Split(jwt(`{"a":1}`), ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`))
	several := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":"YQ"},{"protected":%q,"signature":"YQ"}]}`, parts[1], parts[0], other)
	records := f.revoke(operator.Order{Target: operator.Target{Token: several}})
	if len(records) < 2 || records[0].By != operator.DefaultBy {
		t.Fatalf("%+v", records)
	}
	single := token.Identify(other + "." + parts[1] + ".YQ")
	if f.Check(&single.Key).Outcome != revocation.Revoked {
		t.Error("the second signature's token is not revoked")
	}
	if records, err := operator.Restore(t.Context(), f.Denylist, operator.Target{Token: several}, revocation.Decision{}); err != nil || len(records) < 2 {
		t.Errorf("%+v %v", records, err)
	}
	if f.Check(&single.Key).Outcome != revocation.Clear {
		t.Error("the second signature's token is not restored")
	}
}

// Nonsense is refused, and the error says which part it is in.
func TestNonsense(t *testing.T) {
	secret := jwt(`{"secret":1}`)
	long := strings.Repeat("x", revocation.MaxText+1)
	f := newFixture(t)
	for name, c := range map[string]struct {
		order operator.Order
		want  string
	}{
		"nothing":                  {operator.Order{}, "the target is missing"},
		"two ways":                 {operator.Order{Target: operator.Target{Token: "a", ID: "b"}}, "several ways"},
		"token and a rule":         {operator.Order{Target: operator.Target{Token: "a", Issuer: idp}}, "several ways"},
		"blank token":              {operator.Order{Target: operator.Target{Token: " \n"}}, "token is empty"},
		"token with its scheme":    {operator.Order{Target: operator.Target{Token: " bearer " + secret}}, "token begins with a scheme"},
		"token in quotes":          {operator.Order{Target: operator.Target{Token: `"` + secret + `"`}}, "token stands in quotes"},
		"a quote":                  {operator.Order{Target: operator.Target{Token: `"`}}, "token stands in quotes"},
		"token of two readings":    {operator.Order{Target: operator.Target{Token: `{"a":NaN}`}}, "token can be read in more than one way"},
		"token, issued before":     {operator.Order{Target: operator.Target{Token: "a"}, IssuedBefore: t0}, "issued_before"},
		"token, dry run":           {operator.Order{Target: operator.Target{Token: "a"}, DryRun: true}, "dry_run"},
		"token that ends later":    {operator.Order{Target: operator.Target{Token: jwt(`{"exp":1800000000}`)}, Expires: t0.Add(time.Hour)}, "expires is before"},
		"no kind":                  {operator.Order{Target: operator.Target{Issuer: idp, Value: "a"}}, "kind must be session, jti, subject, client, key, issuer"},
		"kind token":               {operator.Order{Target: rule("token", "a")}, "kind must be"},
		"kind used":                {operator.Order{Target: rule("used", "a")}, "kind must be"},
		"kind that there is not":   {operator.Order{Target: rule(secret, "a")}, "kind must be"},
		"no issuer":                {operator.Order{Target: operator.Target{Kind: "subject", Value: "a"}}, "issuer is missing"},
		"no value":                 {operator.Order{Target: rule("subject", "")}, "value is missing"},
		"issuer with a value":      {operator.Order{Target: rule("issuer", "a")}, "value must not"},
		"long value":               {operator.Order{Target: rule("subject", long)}, "value is longer"},
		"long issuer":              {operator.Order{Target: operator.Target{Kind: "issuer", Issuer: long}}, "issuer is longer"},
		"token as value":           {operator.Order{Target: rule("jti", secret)}, "value has a token"},
		"token in a URL":           {operator.Order{Target: rule("jti", "a"), Reason: "at /x?access_token=" + secret + "&a=b"}, "reason has a token"},
		"token in JSON":            {operator.Order{Target: rule("jti", `{"payload":"YQ", "protected":"eyJhbGciOiJFUzI1NiJ9", "signature":"YQ"}`)}, "value has a token"},
		"token in the reason":      {operator.Order{Target: rule("jti", "a"), Reason: "because of " + secret}, "reason has a token"},
		"long reason":              {operator.Order{Target: rule("jti", "a"), Reason: long}, "reason is longer"},
		"long name":                {operator.Order{Target: rule("jti", "a"), By: long}, "by is longer"},
		"name with a line break":   {operator.Order{Target: rule("jti", "a"), By: "a\nb"}, "by has control"},
		"jti issued before":        {operator.Order{Target: rule("jti", "a"), IssuedBefore: t0}, "issued_before is for"},
		"end has passed":           {operator.Order{Target: rule("jti", "a"), Expires: t0}, "expires has passed"},
		"end before issued before": {operator.Order{Target: rule("key", "a"), IssuedBefore: t0.Add(2), Expires: t0.Add(1)}, "expires is before issued_before"},
		"short id":                 {operator.Order{Target: operator.Target{ID: "token:9f86d081884"}}, "id must have 12 to 64"},
		"long id":                  {operator.Order{Target: operator.Target{ID: "token:" + strings.Repeat("0", 65)}}, "id must have 12 to 64"},
		"id without a kind":        {operator.Order{Target: operator.Target{ID: strings.Repeat("0", 64)}}, "id must be a kind"},
		"id of another kind":       {operator.Order{Target: operator.Target{ID: secret + ":" + strings.Repeat("0", 64)}}, "id must be a kind"},
		"id with other digits":     {operator.Order{Target: operator.Target{ID: "token:" + strings.Repeat("x", 64)}}, "id has digits"},
		"id, end":                  {operator.Order{Target: operator.Target{ID: "token:9f86d0818840"}, Expires: t0.Add(1)}, "an id takes its record as it is"},
	} {
		_, err := operator.Revoke(t.Context(), f.Denylist, c.order, t0, retain)
		if !errors.Is(err, operator.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := operator.Restore(t.Context(), f.Denylist, c.order.Target, revocation.Decision{By: c.order.By, Reason: c.order.Reason}); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	if n := f.Stats().Total(); n != 0 {
		t.Errorf("%d records were stored", n)
	}
	_, err := (&operator.Order{Target: rule("jti", "a"), Expires: t0.Add(-1)}).Records(t0, retain)
	if !errors.Is(err, operator.ErrEnded) {
		t.Errorf("%v is not ErrEnded", err)
	}
}

// Revoked, restored, tried, enforced: each after each.
func TestEffects(t *testing.T) {
	f := newFixture(t)
	target := rule("subject", "alice")
	key := revocation.RuleKey(revocation.KindSubject, idp, "alice")
	steps := []struct {
		do   string
		err  error
		want revocation.Effect
	}{
		{"restore", revocation.ErrNotFound, 0},
		{"enforce", revocation.ErrNotFound, 0},
		{"try", nil, revocation.Count},
		{"try", nil, revocation.Count},
		{"enforce", nil, revocation.Refuse},
		{"try", operator.ErrRefuses, revocation.Refuse},
		{"revoke", nil, revocation.Refuse},
		{"restore", nil, revocation.Restored},
		{"restore", nil, revocation.Restored},
		{"enforce", nil, revocation.Refuse},
		{"restore", nil, revocation.Restored},
		{"try", nil, revocation.Count},
		{"revoke", nil, revocation.Refuse},
		{"restore", nil, revocation.Restored},
		{"revoke", nil, revocation.Refuse},
	}
	for i, step := range steps {
		var records []revocation.Record
		var err error
		order := operator.Order{Target: target}
		switch step.do {
		case "restore":
			records, err = operator.Restore(t.Context(), f.Denylist, target, revocation.Decision{By: "bob"})
		case "enforce":
			order.Target = operator.Target{ID: key.ID()}
			records, err = operator.Revoke(t.Context(), f.Denylist, order, t0, retain)
		default:
			order.DryRun = step.do == "try"
			records, err = operator.Revoke(t.Context(), f.Denylist, order, t0, retain)
		}
		if !errors.Is(err, step.err) || err == nil && (len(records) != 1 || records[0].Effect != step.want || records[0].Key != key) {
			t.Errorf("%d, %s: %+v %v", i, step.do, records, err)
		}
		if got, err := f.Get(key); err == nil && got.Effect != step.want {
			t.Errorf("%d, %s: %+v is stored", i, step.do, got)
		}
	}
}

// What has ended already is stored nowhere, and that is no error.
func TestEnded(t *testing.T) {
	f := newFixture(t)
	for _, order := range []operator.Order{
		{Target: operator.Target{Token: jwt(`{"exp":1000000000}`)}},
		{Target: rule("subject", "alice"), IssuedBefore: t0.Add(-retain - leeway)},
	} {
		if records := f.revoke(order); len(records) != 0 {
			t.Errorf("%+v", records)
		}
	}
	within := operator.Order{Target: operator.Target{Token: jwt(fmt.Sprintf(`{"exp":%d}`, t0.Add(-leeway/2).Unix()))}}
	if records := f.revoke(within); len(records) != 1 {
		t.Errorf("within the leeway: %+v", records)
	}
}

// That something was used is not for operators to change.
func TestUsed(t *testing.T) {
	f := newFixture(t)
	used := revocation.Record{Key: revocation.UsedKey("a", "b"), Revoked: t0, Expires: t0.Add(time.Hour), By: "a"}
	if err := f.Use(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	target := operator.Target{ID: used.Key.ID()}
	if _, err := operator.Restore(t.Context(), f.Denylist, target, revocation.Decision{}); !errors.Is(err, operator.ErrInvalid) {
		t.Errorf("Restore: %v", err)
	}
	if _, err := operator.Revoke(t.Context(), f.Denylist, operator.Order{Target: target}, t0, retain); !errors.Is(err, operator.ErrInvalid) {
		t.Errorf("Revoke: %v", err)
	}
	if r, err := f.Get(used.Key); err != nil || r != used {
		t.Errorf("%+v %v", r, err)
	}
}
