package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// wholeCaddyfile has every option of this version.
const wholeCaddyfile = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		cache 16MiB
		retain 48h
		leeway 90s
		client backend {
			auth client_secret_basic client_secret_post
			secret backend-secret
		}
		client hashed {
			secret_hash $2a$04$JKoNCbTenS5oxdgphTXe../NxPGstIva58qg6nJSYBwv1NU8UDGvq
		}
		client webapp {
			auth none
			origin https://app.example.com http://localhost:3000
		}
		client simple
	}
}
http://localhost:PORT {
	token_revocation {
		endpoint /token/revocation
		profile rfc7009
		revoke token
		token header X-Api-Token Token
		token header Authorization Token
		token query key
		token cookie session
		token form access_token 1MiB
		require_token
		when_unavailable deny
		realm api
	}
	reverse_proxy UPSTREAM
}
`

// elsewhereCaddyfile has the options that ask others. Nobody is asked while it
// is only looked at: nothing of it is there.
const elsewhereCaddyfile = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		issuer https://idp.invalid
		issuer https://idp.invalid/tenant {
			jwks https://idp.invalid/jwks.json
			audience https://api.example.com other
			client_claim client_id azp
			session_claim sid
			id_claim jti
		}
		introspection https://idp.invalid/introspect {
			client_id gateway
			client_secret gateway-secret
			timeout 2s
		}
		client signing {
			jwks https://client.invalid/jwks.json
		}
		client shared {
			auth client_secret_jwt
			secret a-secret-of-at-least-thirty-two-bytes
		}
		client certified {
			tls_subject_dn "CN=client,O=Example"
		}
		client named {
			auth tls_client_auth
			tls_san_dns client.example.com
		}
	}
}
http://localhost:PORT {
	token_revocation {
		profile json
		revoke session
		relay https://idp.invalid/token/revocation {
			timeout 3s
			transport http {
				dial_timeout 1s
			}
		}
		rate_limit 10 1m
	}
	reverse_proxy UPSTREAM
}
`

// admin asks the running Caddy at an admin endpoint.
func (c *caddy) askAdmin(t *testing.T, path, contentType, body string) answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+c.admin+path, strings.NewReader(c.names.Replace(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Close = true // each configuration has an admin endpoint of its own
	a := do(t, request)
	if path == "/load" { // also one that fails replaces the admin endpoint
		if err := c.settle(); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func errorOf(t *testing.T, a answer) string {
	t.Helper()
	var e struct{ Error string }
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != http.StatusBadRequest {
		t.Errorf("%d %s", a.status, a.body)
	}
	return e.Error
}

// A running Caddy adapts Caddyfiles and loads JSON: what it takes, what it
// refuses, and that a refused configuration changes nothing.
func TestConfiguration(t *testing.T) {
	up := newUpstream(t)
	c := start(t, wholeCaddyfile, up)
	token := newToken()
	c.revoke(t, token)
	still := func(t *testing.T) {
		t.Helper()
		if a := c.bearer(t, token); a.status != http.StatusUnauthorized {
			t.Errorf("the revoked token: %d", a.status)
		}
		if a := c.bearer(t, newToken()); a.status != http.StatusOK {
			t.Errorf("another token: %d %s", a.status, a.body)
		}
	}
	t.Run("whole", func(t *testing.T) {
		a := c.askAdmin(t, "/adapt", "text/caddyfile", wholeCaddyfile)
		for _, part := range []string{
			`"token_revocation":{"cache_size":16777216,"clients":[` +
				`{"auth":["client_secret_basic","client_secret_post"],"id":"backend","secret":"backend-secret"},` +
				`{"id":"hashed","secret_hash":"$2a$04$JKoNCbTenS5oxdgphTXe../NxPGstIva58qg6nJSYBwv1NU8UDGvq"},` +
				`{"auth":["none"],"id":"webapp","origins":["https://app.example.com","http://localhost:3000"]},{"id":"simple"}],` +
				`"leeway":90000000000,"retain":172800000000000,"store":{"backend":"bolt","path":"` + c.names.Replace("STORE") + `"}}`,
			`{"endpoint":"/token/revocation","handler":"token_revocation","profile":"rfc7009","realm":"api","require_token":true,"revoke":"token",` +
				`"tokens":[{"in":"header","name":"X-Api-Token","schemes":["Token"]},{"in":"header","name":"Authorization","schemes":["Token"]},` +
				`{"in":"query","name":"key"},{"in":"cookie","name":"session"},{"in":"form","max_size":1048576,"name":"access_token"}],"when_unavailable":"deny"}`,
		} {
			if a.status != http.StatusOK || !strings.Contains(sorted(t, a.body), part) {
				t.Errorf("%d %s\nwithout\n%s", a.status, sorted(t, a.body), part)
			}
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		a := c.askAdmin(t, "/adapt", "text/caddyfile", elsewhereCaddyfile)
		for _, part := range []string{
			`"clients":[{"id":"signing","jwks":"https://client.invalid/jwks.json"},` +
				`{"auth":["client_secret_jwt"],"id":"shared","secret":"a-secret-of-at-least-thirty-two-bytes"},` +
				`{"id":"certified","tls_subject_dn":"CN=client,O=Example"},{"auth":["tls_client_auth"],"id":"named","tls_san_dns":"client.example.com"}],` +
				`"introspection":{"client_id":"gateway","client_secret":"gateway-secret","timeout":2000000000,"url":"https://idp.invalid/introspect"},` +
				`"issuers":[{"url":"https://idp.invalid"},{"audiences":["https://api.example.com","other"],"client_claims":["client_id","azp"],"id_claim":"jti",` +
				`"jwks":"https://idp.invalid/jwks.json","session_claim":"sid","url":"https://idp.invalid/tenant"}]`,
			`{"handler":"token_revocation","profile":"json","rate_limit":{"interval":60000000000,"revocations":10},` +
				`"relay":{"timeout":3000000000,"transport":{"dial_timeout":1000000000,"protocol":"http"},"url":"https://idp.invalid/token/revocation"},"revoke":"session"}`,
		} {
			if a.status != http.StatusOK || !strings.Contains(sorted(t, a.body), part) {
				t.Errorf("%d %s\nwithout\n%s", a.status, sorted(t, a.body), part)
			}
		}
	})
	t.Run("clusters", func(t *testing.T) {
		global := func(lines string) string { return "{\n\ttoken_revocation {\n" + lines + "\n\t}\n}\n" }
		directive := func(lines string) string { return ":1 {\n\ttoken_revocation {\n" + lines + "\n\t}\n}\n" }
		for what, caddyfile := range map[string]string{
			"cluster redis is not supported":                   global("cluster redis redis://a { # HERE\n credentials x\n }"),
			"cluster postgres is not supported":                global("cluster postgres postgres://a # HERE"),
			"token_revocation.clusters.pigeon":                 global("cluster pigeon nats://a # HERE"),
			"max_staleness is not possible without a cluster":  global("max_staleness 30s # HERE"),
			"max_staleness must be at least 500ms":             global("cluster nats nats://a\n max_staleness 100ms # HERE"),
			"store memory is not possible without a cluster":   global("store memory # HERE\n when_unavailable allow"),
			"unexpected \"/tmp\" after store memory":           global("store memory /tmp # HERE\n cluster nats nats://a"),
			"when_unavailable has no choice \"perhaps\"":       global("when_unavailable perhaps # HERE"),
			"token_revocation has no option \"max_staleness\"": directive("max_staleness 30s # HERE"),
		} {
			line := 1 + strings.Count(caddyfile[:strings.Index(caddyfile, "# HERE")], "\n")
			why := errorOf(t, c.askAdmin(t, "/adapt", "text/caddyfile", caddyfile))
			if !strings.Contains(why, what) || !strings.Contains(why, fmt.Sprintf("Caddyfile:%d", line)) {
				t.Errorf("%s in line %d: %s", what, line, why)
			}
		}
	})
	// Clients and realm of the whole configuration work as they stand there.
	t.Run("works", func(t *testing.T) {
		c.try(t, up, revocationRequest{header: fields("Authorization", basic("hashed", strings.Repeat("0123456789ab", 6))), want: success})
		c.try(t, up, revocationRequest{header: without("Authorization"), body: "token=TOKEN&client_id=simple", want: success})
		a := c.send(t, up, revocationRequest{header: fields("Authorization", basic("simple", "x")), token: newToken()})
		if a.header.Get("WWW-Authenticate") != `Basic realm="api", charset="UTF-8"` {
			t.Errorf("%v", a.header)
		}
	})
	t.Run("JSON", func(t *testing.T) {
		whole := c.askAdmin(t, "/adapt", "text/caddyfile", wholeCaddyfile)
		var adapted struct{ Result json.RawMessage }
		if err := json.Unmarshal([]byte(whole.body), &adapted); err != nil {
			t.Fatal(err)
		}
		config := sorted(t, string(adapted.Result))
		for _, mistake := range []struct{ old, new, names string }{
			{`"retain":`, `"retain":-`, "retain: -48h0m0s"},
			{`"leeway":`, `"leeway":-`, "leeway: -1m30s"},
			{`"leeway":`, `"unknown":1,"leeway":`, `"unknown"`},
			{`"cache_size":`, `"cache_size":-`, "cache_size: -16777216"},
			{`"backend":"bolt"`, `"backend":"paper"`, "paper"},
			{`"leeway":`, `"cluster":{"engine":"redis"},"leeway":`, "cluster redis is not supported"},
			{`"leeway":`, `"cluster":{"engine":"nats"},"leeway":`, "servers"},
			{`"leeway":`, `"cluster":{"engine":"nats","servers":["nats://a:S3CRET@b c"]},"leeway":`, "servers[0]: this is not a URL"},
			{`"leeway":`, `"max_staleness":60000000000,"leeway":`, "max_staleness"},
			{`"backend":"bolt"`, `"backend":"bolt","sync":false`, `"sync"`},
			{`"id":"backend",`, ``, "clients[0]"},
			{`"id":"simple"`, `"id":"simple","auth":["client_secret_post"]`, "clients[3] (simple): auth client_secret_post needs a secret"},
			{`"id":"simple"`, `"id":"simple","auth":["private_key_jwt"]`, "clients[3] (simple): auth private_key_jwt needs the client's keys"},
			{`"id":"simple"`, `"id":"webapp"`, "client webapp is there twice"},
			{`"id":"simple"`, `"id":"simple","secret":"{env.NOT_SET_ANYWHERE}"`, "clients[3] (simple): secret: evaluated placeholder {env.NOT_SET_ANYWHERE} is empty"},
			{`"http://localhost:3000"`, `"*"`, `clients[2] (webapp): "*"`},
			{`"secret_hash":"$2a$04`, `"secret_hash":"$2a$99`, "clients[1] (hashed): secret_hash"},
			{`"in":"cookie"`, `"in":"body"`, "tokens"},
			{`"in":"cookie"`, `"in":"cookie","max_size":1`, "tokens"},
			{`"in":"cookie"`, `"in":"cookie","max":1`, `"max"`},
			{`"revoke":"token"`, `"revoke":"all"`, `revoke "all"`},
			{`"profile":"rfc7009"`, `"profile":"soap"`, `profile "soap"`},
			{`"realm":"api"`, `"realm":"api","rate_limit":{"revocations":0,"interval":1}`, "rate_limit"},
			{`"realm":"api"`, `"realm":"api","relay":{}`, "relay: url"},
			{`"realm":"api"`, `"realm":"api","relay":{"url":"https://a","timeout":-1}`, "relay: timeout"},
			{`"realm":"api"`, `"realm":"api","relay":{"url":"https://a","transport":{"protocol":"pigeon"}}`, "pigeon"},
			{`"leeway":`, `"issuers":[{}],"leeway":`, "issuers[0] (): url"},
			{`"leeway":`, `"issuers":[{"url":"https://a","jwks":"/does/not/exist"}],"leeway":`, "issuers[0] (https://a): jwks"},
			{`"leeway":`, `"issuers":[{"url":"https://a"},{"url":"https://a"}],"leeway":`, "issuers[1]: https://a is there twice"},
			{`"leeway":`, `"introspection":{"url":"https://a"},"leeway":`, "introspection"},
			{`"id":"simple"`, `"id":"simple","jwks":"{\"keys\":[]}"`, "clients[3] (simple): jwks"},
			{`"id":"simple"`, `"id":"simple","tls_subject_dn":"nonsense"`, "clients[3] (simple)"},
			{`"endpoint":"/`, `"endpoint":"`, "endpoint"},
			{`"realm":"api"`, `"realm":"a\r\nb"`, "realm"},
			{`"require_token":true`, `"require_token":"yes"`, "require_token"},
		} {
			if strings.Count(config, mistake.old) != 1 {
				t.Fatalf("%s stands %d times in %s", mistake.old, strings.Count(config, mistake.old), config)
			}
			why := errorOf(t, c.askAdmin(t, "/load", "application/json", strings.Replace(config, mistake.old, mistake.new, 1)))
			if !strings.Contains(why, mistake.names) {
				t.Errorf("%s: %s", mistake.new, why)
			}
			still(t)
		}
		if a := c.askAdmin(t, "/load", "application/json", config); a.status != http.StatusOK {
			t.Errorf("without mistakes: %d %s", a.status, a.body)
		}
	})
}

// sorted is a JSON text with the members of its objects in order.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The commands that look at a configuration say what is wrong with it, by their
// exit code too, and leave nothing behind.
func TestConfigurationCommands(t *testing.T) {
	c := newCaddy(t, t.TempDir(), nil)
	run := func(t *testing.T, caddyfile string, args ...string) (out string, ok bool) {
		t.Helper()
		cmd := c.command(append(args, "--config", c.config(caddyfile), "--adapter", "caddyfile")...)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			t.Fatal(err)
		}
		return stdout.String() + stderr.String(), err == nil
	}
	for _, command := range []string{"adapt", "validate"} {
		t.Run(command, func(t *testing.T) {
			for _, caddyfile := range []string{wholeCaddyfile, elsewhereCaddyfile} {
				if out, ok := run(t, caddyfile, command); !ok {
					t.Errorf("%s: %s", caddyfile, out)
				}
			}
			for _, mistake := range []struct{ old, new, want string }{
				{"cache 16MiB", "cash 16MiB", "token_revocation has no option"},
				{"cache 16MiB", "cluster redis redis://a", "cluster redis is not supported"},
				{"cache 16MiB", "max_staleness 1m", "max_staleness is not possible without a cluster"},
				{"realm api", "realm the api", "realm takes one argument"},
			} {
				out, ok := run(t, strings.Replace(wholeCaddyfile, mistake.old, mistake.new, 1), command)
				line := 1 + strings.Count(wholeCaddyfile[:strings.Index(wholeCaddyfile, mistake.old)], "\n")
				if ok || !strings.Contains(out, mistake.want) || !strings.Contains(out, fmt.Sprintf("Caddyfile:%d", line)) {
					t.Errorf("%s in line %d: %v %s", mistake.new, line, ok, out)
				}
			}
		})
	}
	t.Run("only validate resolves placeholders", func(t *testing.T) {
		hidden := strings.Replace(wholeCaddyfile, "secret backend-secret", "secret {env.BACKEND_SECRET}", 1)
		if out, ok := run(t, hidden, "adapt"); !ok || !strings.Contains(out, "{env.BACKEND_SECRET}") {
			t.Errorf("adapt: %v %s", ok, out)
		}
		if out, ok := run(t, hidden, "validate"); ok || !strings.Contains(out, "clients[0] (backend): secret") {
			t.Errorf("validate: %v %s", ok, out)
		}
		t.Setenv("BACKEND_SECRET", "5ecret")
		if out, ok := run(t, hidden, "validate"); !ok || strings.Contains(out, "5ecret") {
			t.Errorf("validate: %v %s", ok, out)
		}
	})
	t.Run("list-modules", func(t *testing.T) {
		out, err := c.command("list-modules").Output()
		for _, module := range []string{"token_revocation\n", "http.handlers.token_revocation\n", "token_revocation.stores.bolt\n", "token_revocation.stores.memory\n", "token_revocation.clusters.nats\n"} {
			if err != nil || !strings.Contains(string(out), module) {
				t.Errorf("without %s: %v", module, err)
			}
		}
	})
	if made := denylists(t, c.dir); len(made) > 0 {
		t.Errorf("left behind: %v", made)
	}
}
