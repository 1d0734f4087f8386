package tests

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What operators do has its lines and events too: for rules with what they are
// about, for each change that is one, and none for what was refused.
func TestAuditOfOperators(t *testing.T) {
	t.Parallel()
	c := eventsCaddy(t)
	c.launch(auditSite(eventsSite(siteWith(), eventsWrite)))
	a := newAdmin(t, c)
	const who = `"by":"carol","reason":"ticket \"7\""`
	token := newToken()
	type wanted struct{ message, effect, value, event string }
	var want []wanted
	did := func(path, body string, w wanted) {
		t.Helper()
		if r := a.change(t, path, body); r.Effect != w.effect {
			t.Errorf("%s %s: %+v", path, body, r)
		}
		want = append(want, w)
		if lines := c.auditLines(t); len(lines) != len(want) {
			t.Fatalf("%s %s: %d lines, want %d", path, body, len(lines), len(want))
		}
	}
	did("revoke", aboutToken(token, who), wanted{"token revoked", "refuse", "", "token_revoked"})
	did("restore", aboutToken(token, who), wanted{"token restored", "restored", "", "token_restored"})
	for kind, value := range map[string]string{"jti": "j-1", "session": "s-1", "subject": "alice", "client": "app", "key": "k-1", "issuer": ""} {
		rule := aboutRule(kind, value, who)
		did("revoke", aboutRule(kind, value, who, `"dry_run":true`), wanted{kind + " dry run", "count", value, ""})
		did("revoke", rule, wanted{kind + " revoked", "refuse", value, "token_revoked"})
		did("restore", rule, wanted{kind + " restored", "restored", value, "token_restored"})
	}
	a.wants(t, http.StatusBadRequest, "", http.MethodPost, "revoke", aboutRule("subject", ""))
	a.wants(t, http.StatusNotFound, "", http.MethodPost, "restore", aboutRule("subject", "bob", who))
	a.wants(t, http.StatusOK, nil, http.MethodGet, "records", "")

	lines, events := c.auditLines(t), c.events(t)
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(lines), len(want))
	}
	for i, l := range lines {
		w := want[i]
		kind, _, _ := strings.Cut(w.message, " ")
		issuer, issued := adminIssuer, kind != "token" && kind != "jti" && kind != "session"
		if kind == "token" {
			issuer = ""
		}
		if l.Message != w.message || l.Effect != w.effect || l.Value != w.value || l.Kind != kind || l.Issuer != issuer || l.Way != "admin" ||
			l.By != "carol" || !l.Operator || l.Reason != "ticket \"7\"" || len(l.Digest) != 12 || l.Expires.IsZero() || l.Auth != "" || net.ParseIP(l.ClientIP) == nil || l.UUID != "" {
			t.Errorf("line %d is %+v, want %+v", i, l, w)
		}
		if since := time.Since(l.IssuedBefore); issued != (since < time.Minute) {
			t.Errorf("line %d: issued before %s", i, l.IssuedBefore)
		}
		if w.event == "" {
			continue
		}
		if len(events) == 0 {
			t.Fatalf("no event of %s", w.message)
		}
		e := events[0]
		events = events[1:]
		if d := e.Data; e.Name != w.event || fmt.Sprint(d.Way, d.Kind, d.Digest, d.By, d.Operator, d.Reason, d.Issuer, d.Value) !=
			fmt.Sprint(l.Way, l.Kind, l.Digest, l.By, l.Operator, l.Reason, l.Issuer, l.Value) || (d.IssuedBefore != "") != issued {
			t.Errorf("the event is %+v\nand the line %+v", e, l)
		}
	}
	if len(events) > 0 {
		t.Errorf("more events than changes: %+v", events)
	}
	for line := range strings.Lines(c.logs.String()) {
		if strings.Contains(line, token) {
			t.Errorf("a token stands in the log: %s", line)
		}
	}
}

// The access log says which dry runs would have refused a request that passed.
func TestAuditDryRunsInAccessLog(t *testing.T) {
	c := start(t, strings.Replace(siteWith(), "http://localhost:PORT {\n", "http://localhost:PORT {\n\tlog\n", 1), newUpstream(t))
	a := newAdmin(t, c)
	subject := a.change(t, "revoke", aboutRule("subject", "alice", `"dry_run":true`))
	key := a.change(t, "revoke", aboutRule("key", "k-1", `"dry_run":true`))
	token := jwtWithHeader(`{"alg":"RS256","kid":"k-1"}`, fmt.Sprintf(`{"iss":%q,"sub":"alice","jti":"j-1"}`, adminIssuer))
	ask := func(path string, status int) {
		t.Helper()
		request, err := http.NewRequest(http.MethodGet, c.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		if got := do(t, request); got.status != status {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	name := func(r adminRecord) string {
		_, digest, _ := strings.Cut(r.ID, ":")
		return r.Kind + " " + digest[:12]
	}
	ask("/counted", http.StatusOK)
	c.auditSays(t, "/counted", map[string]any{"reason": "passed", "dry_run": []any{name(key), name(subject)}})
	a.change(t, "restore", aboutRule("key", "k-1"))
	ask("/counted-once", http.StatusOK)
	c.auditSays(t, "/counted-once", map[string]any{"reason": "passed", "dry_run": []any{name(subject)}})
	a.change(t, "revoke", aboutRule("subject", "alice"))
	ask("/refused", http.StatusUnauthorized)
	c.auditSays(t, "/refused", map[string]any{"reason": "revoked", "kind": "subject"})
	a.change(t, "restore", aboutRule("subject", "alice"))
	ask("/passed", http.StatusOK)
	c.auditSays(t, "/passed", nil)
}
