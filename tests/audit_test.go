package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// auditSite writes the audit lines into a file of their own, and access logs.
func auditSite(caddyfile string) string {
	caddyfile = strings.Replace(caddyfile, "\tauto_https off\n", `	auto_https off
	log default {
		exclude token_revocation.audit
		format filter {
			request>uri regexp "\?.*" "?REDACTED"
		}
	}
	log audit {
		include token_revocation.audit
		output file STORE.audit
		format json
	}
`, 1)
	return strings.Replace(caddyfile, "http://localhost:PORT {\n", "http://localhost:PORT {\n\tlog\n", 1)
}

// auditLine is a line of the audit log, as the page says.
type auditLine struct {
	Level        string    `json:"level"`
	Logger       string    `json:"logger"`
	Message      string    `json:"msg"`
	Way          string    `json:"way"`
	Kind         string    `json:"kind"`
	Digest       string    `json:"digest"`
	Effect       string    `json:"effect"`
	By           string    `json:"by"`
	Operator     bool      `json:"operator"`
	Reason       string    `json:"reason"`
	Issuer       string    `json:"issuer"`
	Value        string    `json:"value"`
	IssuedBefore time.Time `json:"issued_before"`
	Expires      time.Time `json:"expires"`
	Auth         string    `json:"auth"`
	ClientIP     string    `json:"client_ip"`
	UUID         string    `json:"uuid"`
	TraceID      string    `json:"traceID"`
}

// auditOf reads lines that all have to be whole, each an object of its own.
func auditOf(t *testing.T, log []byte) (list []auditLine) {
	t.Helper()
	for line := range bytes.Lines(log) {
		var l auditLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		list = append(list, l)
	}
	return list
}

func (c *caddy) auditLines(t *testing.T) []auditLine {
	t.Helper()
	log, err := os.ReadFile(c.names.Replace("STORE.audit"))
	if err != nil {
		t.Fatal(err)
	}
	return auditOf(t, log)
}

// auditAccess are the lines of the access log about a path.
func (c *caddy) auditAccess(path string) (list []map[string]any) {
	for line := range strings.Lines(c.logs.String()) {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) != nil || l["msg"] != "handled request" {
			continue
		}
		if request, _ := l["request"].(map[string]any); request["uri"] == path {
			list = append(list, l)
		}
	}
	return list
}

// auditSays checks what the one line of the access log about a path says of the
// tokens in the request; a record's digest only by its length.
func (c *caddy) auditSays(t *testing.T, path string, want map[string]any) {
	t.Helper()
	eventually(t, func() error {
		lines := c.auditAccess(path)
		if len(lines) != 1 {
			return fmt.Errorf("%d lines about %s", len(lines), path)
		}
		said, _ := lines[0]["token_revocation"].(map[string]any)
		digest, _ := said["digest"].(string)
		delete(said, "digest")
		if list, _ := said["dry_run"].([]any); list != nil { // are in no order
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		if fmt.Sprint(said) != fmt.Sprint(want) || (len(digest) == 12) != (want["kind"] != nil) {
			t.Errorf("%s: %v with digest %q, want %v", path, said, digest, want)
		}
		return nil
	})
}

func auditDigest(token string) string {
	digest := sha256.Sum256([]byte(token))
	return hex.EncodeToString(digest[:6])
}

// What was done and what the audit log says are the same, in the same order:
// one line for each revocation that succeeded, and none for anything else. It is
// there before the answer is.
func TestAuditIsWhatWasDone(t *testing.T) {
	c := start(t, auditSite(siteWith()), newUpstream(t))
	var want []string
	for i := range 40 {
		token, client, secret := newToken(), "backend", "backend-secret"
		form := url.Values{"token": {token}}
		switch i % 5 {
		case 1:
			client, secret = "webapp", ""
			form.Set("client_id", client)
		case 2: // wrong, and not to be told
			secret = "another-secret"
		case 3:
			form.Set("token", jwt(`{"exp":1}`)) // has ended
		case 4:
			form.Del("token")
		}
		basic := client
		if secret == "" {
			basic = ""
		}
		a := c.post(t, form, basic, secret)
		if i%5 < 2 {
			if a.status != http.StatusOK {
				t.Fatalf("%d: %d %s", i, a.status, a.body)
			}
			want = append(want, client+" "+auditDigest(token)+" "+map[string]string{"backend": "basic", "webapp": "none"}[client])
		}
		got := c.auditLines(t)
		if len(got) != len(want) {
			t.Fatalf("after %d requests there are %d lines, want %d", i+1, len(got), len(want))
		}
	}
	uuids := map[string]bool{}
	for i, l := range c.auditLines(t) {
		if said := l.By + " " + l.Digest + " " + l.Auth; said != want[i] {
			t.Errorf("line %d says %q, want %q", i, said, want[i])
		}
		if l.Level != "info" || l.Logger != "token_revocation.audit" || l.Message != "token revoked" || l.Way != "endpoint" ||
			l.Kind != "token" || l.Effect != "refuse" || l.Operator || l.Issuer != "" || l.Value != "" {
			t.Errorf("line %d: %+v", i, l)
		}
		if in := time.Until(l.Expires); in < 719*time.Hour || in > 721*time.Hour || l.Expires.Nanosecond() != 0 {
			t.Errorf("line %d: expires %s", i, l.Expires)
		}
		if l.ClientIP != "127.0.0.1" && l.ClientIP != "::1" || l.UUID == "" || uuids[l.UUID] {
			t.Errorf("line %d: %+v", i, l)
		}
		uuids[l.UUID] = true
	}
	eventually(t, func() error {
		found := 0
		for _, l := range c.auditAccess("/token/revocation") {
			if uuids[fmt.Sprint(l["uuid"])] {
				found++
			}
		}
		if found != len(want) {
			return fmt.Errorf("%d of %d lines of the access log have the uuid of an audit line", found, len(want))
		}
		return nil
	})
	if strings.Contains(c.logs.String(), "token revoked") {
		t.Error("audit lines stand in the default log, which excludes them")
	}
}

// Whoever revokes through a relay says by themselves who they are. Nothing that
// they say makes a line of its own or another field, in whatever format.
func TestAuditOfWhatAttackersWrite(t *testing.T) {
	names := []string{
		"x\n{\"level\":\"info\",\"logger\":\"token_revocation.audit\",\"msg\":\"token revoked\",\"by\":\"root\"}",
		"x\r\nINFO\ttoken_revocation.audit\ttoken revoked\t{\"by\": \"root\"}",
		`x","operator":true,"y":"`, "\x1b[2J\x1b[31mx", "\u2028\u2029\u0085x", "\x00\x07x", "\xff\xfex", strings.Repeat("\n", 1000) + "x",
		`{http.request.uuid}{env.HOME}`,
	}
	for _, format := range []string{"json", "console"} {
		t.Run(format, func(t *testing.T) {
			server := newRelayServer(t, false)
			site := auditSite(server.relaying("", ""))
			c := start(t, strings.Replace(site, "format json", "format "+format, 1), newUpstream(t))
			for _, name := range names {
				if a := c.post(t, url.Values{"token": {newToken()}, "client_id": {name}}, "", ""); a.status != http.StatusOK {
					t.Fatalf("%q: %d %s", name, a.status, a.body)
				}
			}
			log, err := os.ReadFile(c.names.Replace("STORE.audit"))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(log, []byte("\n")); n != len(names) {
				t.Errorf("%d lines of %d revocations:\n%s", n, len(names), log)
			}
			for line := range bytes.Lines(log) { // before the fields, Caddy colours the level
				_, fields, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("{"))
				if !utf8.Valid(fields) || bytes.ContainsFunc(fields, func(r rune) bool { return r < ' ' }) {
					t.Errorf("a line has what was written as it is: %q", line)
				}
			}
			if format != "json" {
				return
			}
			for i, l := range auditOf(t, log) {
				if want := strings.ToValidUTF8(names[i], "\ufffd"); l.Operator || strings.ReplaceAll(l.By, "\ufffd\ufffd", "\ufffd") != want {
					t.Errorf("by %q, want %q", l.By, want)
				}
			}
		})
	}
}

// The access log says why a request was refused, and nothing of one that was not.
func TestAuditAccessLog(t *testing.T) {
	up, as := newUpstream(t), newAuthority(t)
	config := judgedConfig("issuer "+as.URL, "revoke session", "require_token", "token form access_token 1KiB")
	config = strings.Replace(config, "http://localhost:PORT {\n", "http://localhost:PORT {\n\tlog\n", 1)
	c := start(t, config, up)
	ofSession, opaque := as.token(claimSet{"sid": "s-1"}), newToken()
	c.revoke(t, ofSession)
	request := func(header http.Header, body string) *http.Request {
		r, err := http.NewRequest(http.MethodPost, c.url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		return r
	}
	bearer := func(token string) http.Header { return fields("Authorization", "Bearer "+token) }
	formType := "application/x-www-form-urlencoded"
	for _, try := range []struct {
		name    string
		request *http.Request
		status  int
		want    map[string]any
	}{
		{"passed", request(bearer(opaque), ""), http.StatusOK, nil},
		{"token", request(bearer(ofSession), ""), http.StatusUnauthorized, map[string]any{"reason": "revoked", "kind": "token"}},
		{"session", request(bearer(as.token(claimSet{"sid": "s-1"})), ""), http.StatusUnauthorized, map[string]any{"reason": "revoked", "kind": "session"}},
		{"no token", request(http.Header{}, ""), http.StatusUnauthorized, map[string]any{"reason": "no_token"}},
		{"malformed", request(http.Header{"Authorization": {"Bearer " + opaque, "Bearer " + opaque}}, ""), http.StatusBadRequest, map[string]any{"reason": "malformed"}},
		{"too large", request(fields("Content-Type", formType), strings.Repeat("x", 2000)), http.StatusRequestEntityTooLarge, map[string]any{"reason": "too_large"}},
		{"unsupported", request(fields("Content-Type", formType, "Content-Encoding", "gzip"), "x"), http.StatusUnsupportedMediaType, map[string]any{"reason": "unsupported"}},
	} {
		t.Run(try.name, func(t *testing.T) {
			try.request.URL.Path = "/" + strings.ReplaceAll(try.name, " ", "-")
			if a := do(t, try.request); a.status != try.status {
				t.Fatalf("%d %s", a.status, a.body)
			}
			c.auditSays(t, try.request.URL.Path, try.want)
		})
	}
}
