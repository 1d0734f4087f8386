package tests

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// The audit log has one line for each change by an operator: by whom, from where,
// and what became of it, whoever was the first to revoke; and none for what was
// refused.
func TestAdminAudit(t *testing.T) {
	c := start(t, auditSite(siteWith()), newUpstream(t))
	a := newAdmin(t, c)
	token := newToken()
	c.revoke(t, token)
	var want []string
	changed := func(path, body, line string) {
		t.Helper()
		a.change(t, path, body)
		want = append(want, line)
	}
	changed("revoke", aboutToken(token, `"by":"alice"`, `"reason":"found"`), "token revoked by alice: found")
	changed("restore", aboutToken(token), "token restored by admin: ")
	changed("revoke", aboutRule("subject", "bob", `"by":"alice"`, `"dry_run":true`), "subject dry run by alice: ")
	changed("revoke", aboutRule("subject", "bob", `"by":"carol"`, `"reason":"on"`), "subject revoked by carol: on")
	changed("revoke", aboutRule("subject", "bob", `"by":"dave"`), "subject revoked by dave: ")
	changed("restore", aboutRule("subject", "bob", `"by":"erin"`), "subject restored by erin: ")
	a.wants(t, http.StatusBadRequest, "kind must be", http.MethodPost, "revoke", aboutRule("x", "bob"))
	a.wants(t, http.StatusNotFound, "no such record", http.MethodPost, "restore", aboutRule("subject", "nobody"))
	a.wants(t, http.StatusOK, nil, http.MethodPost, "revoke", aboutToken(jwt(`{"exp":1000000000}`)))
	a.wants(t, http.StatusOK, nil, http.MethodPost, "explain", aboutToken(token))
	var got []string
	for _, l := range c.auditLines(t) {
		if l.Way != "admin" {
			continue
		}
		got = append(got, fmt.Sprintf("%s by %s: %s", l.Message, l.By, l.Reason))
		if !l.Operator || l.ClientIP != "127.0.0.1" || len(l.Digest) != 12 || l.Kind == "subject" && l.Value != "bob" {
			t.Errorf("%+v", l)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
