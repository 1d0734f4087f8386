package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// adminRecord is a record in an answer of the admin API.
type adminRecord struct {
	ID, Kind, Effect, Issuer, Value, By, Reason string
	IssuedBefore                                *time.Time `json:"issued_before"`
	RevokedAt                                   time.Time  `json:"revoked_at"`
	Expires                                     time.Time
	Operator                                    bool
	Version                                     int
	Trial                                       *struct{ Requests, Tokens int }
}

// adminPage is an answer with records.
type adminPage struct {
	Records []adminRecord
	Next    string
}

// admin is somebody who uses the admin API, over connections of their own.
type admin struct {
	c      *caddy
	client *http.Client
}

func newAdmin(t *testing.T, c *caddy) admin {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return admin{c, &http.Client{Transport: persistent{recording{transport}}}}
}

// ask sends a request, with a body in JSON unless it is empty.
func (a admin) ask(method, path, body string) (answer, error) {
	request, err := http.NewRequest(method, "http://"+a.c.admin+"/token_revocation/"+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", inJSON)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	return readAll(response)
}

// wants asks, and expects a status, and an answer in JSON of which into gets what
// it can hold; or an error that contains a text, if into is one.
func (a admin) wants(t *testing.T, status int, into any, method, path, body string) {
	t.Helper()
	got, err := a.ask(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != status || got.header.Get("Content-Type") != inJSON || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s %s: %d %v %s, want %d", method, path, body, got.status, got.header, got.body, status)
		return
	}
	switch want := into.(type) {
	case nil:
	case string:
		var failed struct{ Error string }
		if err := json.Unmarshal([]byte(got.body), &failed); err != nil || failed.Error == "" || !strings.Contains(failed.Error, want) {
			t.Errorf("%s %s %s: %s, want an error that says %q", method, path, body, got.body, want)
		}
		if retry := got.header.Get("Retry-After"); (retry != "") != (status == http.StatusServiceUnavailable) {
			t.Errorf("%s %s %s: %d with Retry-After %q", method, path, body, status, retry)
		}
	default:
		if err := json.Unmarshal([]byte(got.body), into); err != nil {
			t.Errorf("%s %s %s: %s: %v", method, path, body, got.body, err)
		}
	}
}

// change revokes or restores, and returns the one record that is stored then.
func (a admin) change(t *testing.T, path, body string) adminRecord {
	t.Helper()
	var page adminPage
	a.wants(t, http.StatusOK, &page, http.MethodPost, path, body)
	if len(page.Records) != 1 {
		t.Errorf("%s %s: %+v", path, body, page.Records)
		return adminRecord{}
	}
	return page.Records[0]
}

// gate expects what becomes of a token.
func (a admin) gate(t *testing.T, token string, status int) {
	t.Helper()
	if got := a.c.bearer(t, token); got.status != status {
		t.Errorf("a token at the gate: %d, want %d", got.status, status)
	}
}

func about(target string, members ...string) string {
	return "{" + strings.Join(append([]string{target}, members...), ",") + "}"
}

func aboutToken(token string, members ...string) string {
	return about(fmt.Sprintf(`"token":%q`, token), members...)
}

const adminIssuer = "https://idp.example.com"

func aboutRule(kind, value string, members ...string) string {
	target := fmt.Sprintf(`"kind":%q,"issuer":%q`, kind, adminIssuer)
	if value != "" {
		target += fmt.Sprintf(`,"value":%q`, value)
	}
	return about(target, members...)
}

func aboutID(id string, members ...string) string {
	return about(fmt.Sprintf(`"id":%q`, id), members...)
}

// A token is revoked and restored by an operator, and by a client in between:
// what was answered holds at the gate at once.
func TestAdminRevokesToken(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	exp := time.Now().Add(time.Hour).Unix()
	for name, token := range map[string]string{
		"opaque": newToken(), "JWT": jwt(fmt.Sprintf(`{"sub":"alice","exp":%d}`, exp)), "JWT without an end": jwt(`{"sub":"alice","jti":"x"}`),
	} {
		a.gate(t, token, http.StatusOK)
		began := time.Now()
		r := a.change(t, "revoke", aboutToken(token, `"by":"bob"`, `"reason":"found in a log"`))
		a.gate(t, token, http.StatusUnauthorized)
		end := began.Add(720 * time.Hour)
		if name == "JWT" {
			end = time.Unix(exp, 0)
		}
		if r.Kind != "token" || r.Effect != "refuse" || r.By != "bob" || r.Reason != "found in a log" || !r.Operator ||
			r.Version != 0 || r.IssuedBefore != nil || r.RevokedAt.Before(began.Add(-time.Second)) ||
			r.Expires.Before(end) || r.Expires.After(end.Add(time.Minute)) || !strings.HasPrefix(r.ID, "token:") {
			t.Errorf("%s: %+v", name, r)
		}
		for range 2 {
			r = a.change(t, "restore", aboutToken(token))
			a.gate(t, token, http.StatusOK)
			if r.Effect != "restored" || r.By != "admin" || r.Reason != "" || r.Version != 1 {
				t.Errorf("%s: %+v", name, r)
			}
		}
		c.revoke(t, token)
		a.gate(t, token, http.StatusUnauthorized)
		if r = a.change(t, "restore", aboutID(r.ID)); r.Version != 3 {
			t.Errorf("%s: %+v", name, r)
		}
		a.gate(t, token, http.StatusOK)
		r = a.change(t, "revoke", aboutID(r.ID[:len("token:")+12], `"by":"carol"`))
		a.gate(t, token, http.StatusUnauthorized)
		var shown adminRecord
		a.wants(t, http.StatusOK, &shown, http.MethodGet, "records/"+r.ID, "")
		if shown.Version != 4 || shown.By != "carol" || shown.Effect != "refuse" || shown != r {
			t.Errorf("%s: %+v, %+v", name, shown, r)
		}
	}
	// What a client has revoked is still known as the client's, and taken back all the same.
	token := newToken()
	c.revoke(t, token)
	if r := a.change(t, "revoke", aboutToken(token, `"by":"zoe"`)); r.By != "backend" || r.Operator {
		t.Errorf("%+v", r)
	}
	a.change(t, "restore", aboutToken(token))
	a.gate(t, token, http.StatusOK)

	// It has ended already.
	var page adminPage
	a.wants(t, http.StatusOK, &page, http.MethodPost, "revoke", aboutToken(jwt(`{"exp":1000000000}`)))
	if page.Records == nil || len(page.Records) != 0 {
		t.Errorf("%+v", page)
	}
}

// Rules are stored with the bounds that were given, or that follow from retain.
func TestAdminRevokesByRule(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	const retain = 720 * time.Hour
	now := time.Now()
	for i, bounds := range []struct {
		members         []string
		issued, expires time.Time
	}{
		{nil, now, now.Add(retain)},
		{[]string{`"issued_before":"5m ago"`}, now.Add(-5 * time.Minute), now.Add(retain - 5*time.Minute)},
		{[]string{`"issued_before":"in 30d"`}, now.Add(retain), now.Add(2 * retain)},
		{[]string{`"issued_before":1700000000`, `"expires":"in 1h"`}, time.Unix(1700000000, 0), now.Add(time.Hour)},
		{[]string{`"issued_before":"now"`, `"expires":"2099-01-01T00:00:00Z"`}, now, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		for _, kind := range []string{"jti", "session", "subject", "client", "key", "issuer"} {
			value := fmt.Sprint(kind, i)
			if kind == "issuer" {
				value = ""
			}
			bounded := kind != "jti" && kind != "session"
			if !bounded && len(bounds.members) > 0 {
				continue
			}
			r := a.change(t, "revoke", aboutRule(kind, value, bounds.members...))
			near := func(got, want time.Time) bool { return got.Sub(want).Abs() < time.Minute }
			if r.Kind != kind || r.Issuer != adminIssuer || r.Value != value || r.Effect != "refuse" || !r.Operator ||
				(r.IssuedBefore != nil) != bounded || kind != "issuer" && bounded && !near(*r.IssuedBefore, bounds.issued) ||
				kind != "issuer" && !near(r.Expires, bounds.expires) {
				t.Errorf("%s %v: %+v", kind, bounds.members, r)
			}
		}
	}
	// The rule for the issuer was extended with each: the latest of all bounds holds.
	var page adminPage
	a.wants(t, http.StatusOK, &page, http.MethodGet, "records?kind=issuer", "")
	if len(page.Records) != 1 || page.Records[0].IssuedBefore.Before(now.Add(retain-time.Minute)) || page.Records[0].Expires.Year() != 2099 {
		t.Errorf("%+v", page)
	}
}

// A rule by session, which the gate has known before there were other rules.
func TestAdminRevokesSession(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	token := jwt(fmt.Sprintf(`{"iss":%q,"sid":"s1","jti":"a"}`, adminIssuer))
	a.change(t, "revoke", aboutRule("session", "s1"))
	a.gate(t, token, http.StatusUnauthorized)
	a.change(t, "restore", aboutRule("session", "s1"))
	a.gate(t, token, http.StatusOK)
}

// A dry run refuses nothing, and is switched on by its id or by the rule anew.
func TestAdminDryRun(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	r := a.change(t, "revoke", aboutRule("session", "s1", `"dry_run":true`))
	if r.Effect != "count" || r.Trial == nil || r.Trial.Requests != 0 {
		t.Errorf("%+v", r)
	}
	a.change(t, "revoke", aboutRule("session", "s1", `"dry_run":true`))
	if r := a.change(t, "revoke", aboutID(r.ID)); r.Effect != "refuse" || r.Trial != nil {
		t.Errorf("%+v", r)
	}
	a.gate(t, jwt(fmt.Sprintf(`{"iss":%q,"sid":"s1"}`, adminIssuer)), http.StatusUnauthorized)
	a.wants(t, http.StatusConflict, "refused already", http.MethodPost, "revoke", aboutRule("session", "s1", `"dry_run":true`))
	a.change(t, "restore", aboutID(r.ID))
	if r := a.change(t, "revoke", aboutRule("session", "s1", `"dry_run":true`)); r.Effect != "count" || r.Version != 2 {
		t.Errorf("%+v", r)
	}
	if r := a.change(t, "revoke", aboutRule("session", "s1")); r.Effect != "refuse" {
		t.Errorf("%+v", r)
	}
}

// Who asks in a way that makes no sense is told which part does not, and nothing
// is stored, nor does anything that may be secret come back.
func TestAdminErrors(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	secret := jwt(`{"sub":"secret"}`)
	opaque := "veryopaquesecrettoken"
	zeros := strings.Repeat("0", 64)
	type request struct {
		status             int
		says               string
		method, path, body string
	}
	get := func(status int, says, path string) request { return request{status, says, http.MethodGet, path, ""} }
	post := func(status int, says, path, body string) request {
		return request{status, says, http.MethodPost, path, body}
	}
	var requests []request
	for _, path := range []string{"revoke", "restore"} {
		requests = append(requests,
			request{405, "use POST", http.MethodGet, path, ""},
			request{405, "use POST", http.MethodPut, path, "{}"},
			request{405, "use POST", http.MethodDelete, path, ""},
			request{415, "application/json", http.MethodPost, path, ""},
			post(400, "must be one JSON object", path, " "),
			post(400, "must be one JSON object", path, "[]"),
			post(400, "must be one JSON object", path, `"`+secret+`"`),
			post(400, "must be one JSON object", path, `{"token":"`+secret),
			post(400, "nothing after it", path, aboutToken(secret)+aboutToken(secret)),
			post(400, `"token" stands twice`, path, aboutToken(secret, `"token":"b"`)),
			post(400, "there is a member other than", path, about(`"Token":"`+secret+`"`)),
			post(400, "there is a member other than", path, about(`"`+secret+`":"x"`)),
			post(400, `"token" must be a string`, path, `{"token":["`+secret+`"]}`),
			post(400, `"token" must not be null`, path, `{"token":null}`),
			post(400, `"by" must be a string`, path, aboutToken(secret, `"by":1`)),
			post(400, "the target is missing", path, `{}`),
			post(400, "several ways", path, aboutToken(secret, `"id":"token:`+zeros+`"`)),
			post(400, "several ways", path, aboutToken(secret, `"kind":"jti"`)),
			post(400, "token is empty", path, aboutToken("  ")),
			post(400, "more than one way", path, aboutToken(`{"a":NaN}`)),
			post(400, "kind must be", path, about(`"kind":"`+opaque+`","issuer":"x","value":"y"`)),
			post(400, "kind must be", path, aboutRule("token", "x")),
			post(400, "issuer is missing", path, about(`"kind":"jti","value":"x"`)),
			post(400, "value is missing", path, aboutRule("jti", "")),
			post(400, "value must not", path, aboutRule("issuer", "x")),
			post(400, "value has a token", path, aboutRule("jti", secret)),
			post(400, "reason has a token", path, aboutRule("jti", "x", `"reason":"see `+secret+`"`)),
			post(400, "reason is longer", path, aboutRule("jti", "x", `"reason":"`+strings.Repeat("x", 1025)+`"`)),
			post(400, "by has control characters", path, aboutRule("jti", "x", `"by":"a\u001b[2J"`)),
			post(400, "id must be a kind", path, aboutID(opaque)),
			post(400, "id must have", path, aboutID("token:abc")),
			post(400, "id has digits", path, aboutID("token:"+strings.Repeat("x", 64))),
			post(404, "no such record", path, aboutID("token:"+zeros)),
			post(404, "no such record", path, aboutID("token:"+zeros[:12])),
			post(400, "there is a query", path+"?token=a-token-in-a-query", aboutToken("another-token")),
			post(413, "too large", path, aboutToken(strings.Repeat("x", 64<<10))),
		)
	}
	requests = append(requests,
		post(404, "no such record", "restore", aboutToken(secret)),
		post(404, "no such record", "restore", aboutRule("subject", "nobody")),
		post(400, "other than", "restore", aboutToken(secret, `"dry_run":true`)),
		post(400, "other than", "restore", aboutToken(secret, `"expires":"now"`)),
		post(400, `"dry_run" must be true or false`, "revoke", aboutRule("jti", "x", `"dry_run":"`+opaque+`"`)),
		post(400, "dry_run is for rules", "revoke", aboutToken(secret, `"dry_run":true`)),
		post(400, "issued_before is for rules", "revoke", aboutToken(secret, `"issued_before":"now"`)),
		post(400, "issued_before is for rules by", "revoke", aboutRule("jti", "x", `"issued_before":"now"`)),
		post(400, "issued_before must be a time", "revoke", aboutRule("subject", "x", `"issued_before":"`+opaque+`"`)),
		post(400, "issued_before must be a time", "revoke", aboutRule("subject", "x", `"issued_before":1e99`)),
		post(400, `"issued_before" is not valid`, "revoke", aboutRule("subject", "x", `"issued_before":true`)),
		post(400, "expires must be a time", "revoke", aboutRule("subject", "x", `"expires":"tomorrow"`)),
		post(400, "expires has passed", "revoke", aboutRule("subject", "x", `"expires":"5m ago"`)),
		post(400, "expires has passed", "revoke", aboutToken(secret, `"expires":"now"`)),
		post(400, "before issued_before", "revoke", aboutRule("subject", "x", `"issued_before":"in 2h"`, `"expires":"in 1h"`)),
		post(400, "before the end of the token", "revoke", aboutToken(jwt(`{"exp":4000000000}`), `"expires":"in 1h"`)),
		post(400, "takes its record as it is", "revoke", aboutID("token:"+zeros, `"expires":"in 1h"`)),
		post(400, "takes its record as it is", "revoke", aboutID("token:"+zeros, `"dry_run":true`)),

		post(405, "use GET", "records", "{}"),
		post(405, "use GET", "records/token:"+zeros, "{}"),
		get(400, "kind must be", "records?kind="+opaque),
		get(400, "kind must be", "records?kind=token,"),
		get(400, "effect must be", "records?effect="+opaque),
		get(400, "since must be a time", "records?since="+opaque),
		get(400, "until must be a time", "records?until=5m"),
		get(400, "limit must be", "records?limit=0"),
		get(400, "limit must be", "records?limit=1001"),
		get(400, "limit must be", "records?limit="+opaque),
		get(400, "after must be a whole id", "records?after=token:0123456789ab"),
		get(400, "after must be a whole id", "records?after="+opaque),
		get(400, "stands twice", "records?limit=1&limit=2"),
		get(400, "nothing but", "records?"+opaque+"=1"),
		get(400, "nothing but", "records/token:"+zeros+"?limit=1"),
		get(400, "the query cannot be read", "records?limit=%zz"),
		get(400, "id must be a kind", "records/thenameofsomething"),
		get(400, "id must have", "records/token:0123"),
		get(404, "no such record", "records/token:"+zeros),
		get(404, "no such record", "records/token:"+zeros[:12]),
		get(404, "nothing at this path", "records/a/b"),
		get(404, "nothing at this path", "record"),
		get(404, "nothing at this path", ""),
	)
	for _, r := range requests {
		a.wants(t, r.status, r.says, r.method, r.path, r.body)
		got, err := a.ask(r.method, r.path, r.body)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{opaque, secret, strings.Split(secret, ".")[1]} {
			if strings.Contains(got.body, part) {
				t.Errorf("%s %s %s is repeated: %s", r.method, r.path, r.body, got.body)
			}
		}
		if allow := got.header.Get("Allow"); r.status == 405 && !strings.Contains(allow, strings.TrimPrefix(r.says, "use ")) {
			t.Errorf("%s %s: Allow %q", r.method, r.path, allow)
		}
	}
	var page adminPage
	a.wants(t, http.StatusOK, &page, http.MethodGet, "records", "")
	if len(page.Records) != 0 {
		t.Errorf("%+v was stored", page)
	}
	logs := strings.Split(c.logs.String(), "\n")
	for _, line := range logs {
		if strings.Contains(line, secret) || strings.Contains(line, opaque) {
			t.Errorf("Caddy printed %s", line)
		}
	}
	a.gate(t, secret, http.StatusOK)
}

// What is no JSON is not read.
func TestAdminContentTypes(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	form := url.Values{"token": {"a-token-in-a-form"}}.Encode()
	for contentType, status := range map[string]int{
		"application/json": 400, "application/json; charset=utf-8": 400, "Application/JSON": 400,
		"application/x-www-form-urlencoded": 415, "text/plain": 415, "application/json;;": 415, "application/problem+json": 415,
	} {
		if a := c.askAdmin(t, "/token_revocation/revoke", contentType, form); a.status != status {
			t.Errorf("%s: %d %s", contentType, a.status, a.body)
		}
	}
}
