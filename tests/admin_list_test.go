package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// list goes through all pages.
func (a admin) list(t *testing.T, query url.Values) (records []adminRecord) {
	t.Helper()
	query = url.Values(http.Header(query).Clone())
	for range 10_000 {
		var page adminPage
		a.wants(t, http.StatusOK, &page, http.MethodGet, "records?"+query.Encode(), "")
		records = append(records, page.Records...)
		if page.Next == "" {
			return records
		}
		query.Set("after", page.Next)
	}
	t.Fatal("the list does not end")
	return nil
}

// atOnce calls f with each number below n, from several goroutines.
func atOnce(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// Every combination of filters shows what it says, in one order.
func TestAdminFilters(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	c.revoke(t, newToken())
	a.change(t, "revoke", aboutToken(newToken(), `"by":"alice"`))
	time.Sleep(2 * time.Millisecond) // the times of records have no finer steps
	began := time.Now()
	for i, kind := range []string{"session", "jti", "subject", "client", "key"} {
		a.change(t, "revoke", aboutRule(kind, "x", `"by":"alice"`))
		a.change(t, "revoke", aboutRule(kind, "y", `"by":"bob"`, `"dry_run":true`))
		other := fmt.Sprintf(`{"kind":%q,"issuer":"https://other.example.com","value":"x","by":"bob"}`, kind)
		r := a.change(t, "revoke", other)
		if i%2 == 0 {
			a.change(t, "restore", aboutID(r.ID, `"by":"carol"`))
		}
	}
	a.change(t, "revoke", aboutRule("issuer", ""))
	all := a.list(t, nil)
	if len(all) != 18 {
		t.Fatalf("%d records", len(all))
	}
	since := began.UTC().Format(time.RFC3339Nano)
	for _, filter := range []struct {
		query url.Values
		want  func(r *adminRecord) bool
	}{
		{url.Values{"kind": {"token"}}, func(r *adminRecord) bool { return r.Kind == "token" }},
		{url.Values{"kind": {"issuer,jti"}}, func(r *adminRecord) bool { return r.Kind == "issuer" || r.Kind == "jti" }},
		{url.Values{"kind": {"used"}}, func(*adminRecord) bool { return false }},
		{url.Values{"effect": {"count"}}, func(r *adminRecord) bool { return r.Effect == "count" && r.Trial != nil }},
		{url.Values{"effect": {"refuse,restored"}}, func(r *adminRecord) bool { return r.Effect != "count" && r.Trial == nil }},
		{url.Values{"issuer": {adminIssuer}}, func(r *adminRecord) bool { return r.Issuer == adminIssuer }},
		{url.Values{"issuer": {adminIssuer + "/"}}, func(*adminRecord) bool { return false }},
		{url.Values{"value": {"x"}, "kind": {"subject"}}, func(r *adminRecord) bool { return r.Value == "x" && r.Kind == "subject" }},
		{url.Values{"client": {"backend"}}, func(r *adminRecord) bool { return r.By == "backend" && !r.Operator }},
		{url.Values{"client": {"carol"}, "effect": {"restored"}}, func(r *adminRecord) bool { return r.By == "carol" }},
		{url.Values{"since": {since}}, func(r *adminRecord) bool { return r.Kind != "token" }},
		{url.Values{"until": {since}}, func(r *adminRecord) bool { return r.Kind == "token" }},
		{url.Values{"since": {"1h ago"}, "until": {"in 1h"}}, func(*adminRecord) bool { return true }},
		{url.Values{"since": {"in 1h"}}, func(*adminRecord) bool { return false }},
		{
			url.Values{"kind": {"session,jti,subject"}, "issuer": {adminIssuer}, "value": {"y"}, "client": {"bob"}, "effect": {"count"}, "since": {since}},
			func(r *adminRecord) bool {
				return slices.Contains([]string{"session", "jti", "subject"}, r.Kind) && r.Value == "y"
			},
		},
	} {
		var want []string
		for _, r := range all {
			if filter.want(&r) {
				want = append(want, r.ID)
			}
		}
		for _, limit := range []string{"1", "2", "1000", ""} {
			filter.query.Set("limit", limit)
			var got []string
			for _, r := range a.list(t, filter.query) {
				got = append(got, r.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", filter.query.Encode(), got, want)
			}
		}
	}
	// Kind by kind, and by digest in each.
	if !slices.IsSortedFunc(all, func(a, b adminRecord) int {
		kinds := []string{"token", "used", "session", "jti", "subject", "client", "key", "issuer"}
		if a.Kind != b.Kind {
			return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
		}
		return strings.Compare(a.ID, b.ID)
	}) {
		t.Errorf("%+v", all)
	}
	for _, r := range all { // any of them, by a part of its id
		var one adminRecord
		kind, digits, _ := strings.Cut(r.ID, ":")
		for _, n := range []int{12, 13, 63, 64} {
			a.wants(t, http.StatusOK, &one, http.MethodGet, "records/"+kind+":"+digits[:n], "")
			if one.ID != r.ID || one.Effect != r.Effect || one.Version != r.Version {
				t.Errorf("%+v, want %+v", one, r)
			}
		}
	}
}

// Of 3,000 records that stay, each is seen exactly once, page by page, while
// others come, end, are restored and enforced.
func TestAdminPagesWhileRecordsChange(t *testing.T) {
	stay := 3000
	if raceFlag == "-race=true" {
		stay = 1000
	}
	config := strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tleeway 0s", 1)
	c := start(t, config, newUpstream(t))
	a := newAdmin(t, c)
	kinds := []string{"session", "jti", "subject", "client", "key"}
	ids := make([]string, stay)
	atOnce(stay, func(i int) {
		body := aboutToken(fmt.Sprintf("staying-token|%06d", i))
		if i%2 == 1 {
			body = aboutRule(kinds[i%len(kinds)], fmt.Sprintf("stays|%d", i))
		}
		ids[i] = a.change(t, "revoke", body).ID
	})
	if t.Failed() {
		t.FailNow()
	}
	var stopped atomic.Bool
	var changing sync.WaitGroup
	var changes atomic.Int64
	for g := range 4 {
		changing.Go(func() {
			for i := g; !stopped.Load(); i += 4 {
				id := ids[i%stay]
				switch i / 4 % 4 {
				case 0:
					a.change(t, "restore", aboutID(id))
				case 1:
					a.change(t, "revoke", aboutID(id))
				case 2: // comes, and is soon gone: with a slow disk before it is answered
					a.wants(t, http.StatusOK, nil, http.MethodPost, "revoke", aboutRule(kinds[i%len(kinds)], fmt.Sprintf("goes|%d", i), `"expires":"in 1s"`))
				case 3:
					a.wants(t, http.StatusOK, nil, http.MethodPost, "revoke", aboutToken(fmt.Sprintf("going-token|%06d", i), `"expires":"in 1s"`))
				}
				changes.Add(1)
			}
		})
	}
	const enough = 400
	deadline := time.Now().Add(time.Minute)
	for round := 0; round < 3 || changes.Load() < enough && time.Now().Before(deadline); round++ {
		limit := []string{"97", "1000", "13"}[round%3]
		seen := map[string]int{}
		for _, r := range a.list(t, url.Values{"limit": {limit}}) {
			seen[r.ID]++
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s is there %d times", id, n)
			}
		}
		for i, id := range ids {
			if seen[id] != 1 {
				t.Errorf("record %d, %s, is there %d times", i, id, seen[id])
			}
		}
	}
	stopped.Store(true)
	changing.Wait()
	if n := changes.Load(); n < enough {
		t.Errorf("%d changes", n)
	}
	eventually(t, func() error {
		if n := len(a.list(t, url.Values{"limit": {"1000"}})); n != stay {
			return fmt.Errorf("%d records stay, want %d", n, stay)
		}
		return nil
	})
}
