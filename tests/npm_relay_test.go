package tests

import (
	"net/http"
	"testing"
)

const relaySite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
	}
}
http://localhost:PORT {
	token_revocation {
		relay ISSUER/token/revocation
	}
	reverse_proxy UPSTREAM
}
`

// Clients that only the authorization server knows revoke its tokens through
// Caddy: there, and here.
func TestNPMRelay(t *testing.T) {
	key := newKey(t, "ES256")
	server := newAuthorizationServer(t, key)
	c := start(t, server.site(relaySite), newUpstream(t))
	task := npmTask{Endpoint: c.url + "/token/revocation", Issuer: server.issuer}
	app, page, keyed := task, task, task
	app.Client, app.Method, app.Secret = "app", basicWay, providerSecret
	page.Client, page.Method = "page", publicWay
	keyed.Client, keyed.Method, keyed.Key, keyed.Alg = "keyed", "private_key_jwt", key.jwk(t), key.alg
	for _, name := range []string{"openid-client-6", "openid-client-5"} {
		t.Run(name, func(t *testing.T) {
			n := runNode(t, name)
			for _, client := range []struct {
				task npmTask
				as   credentialsOf
			}{
				{app, withSecret("app", providerSecret)},
				{page, withoutSecret("page")},
				{keyed, withKey(t, "keyed", key)},
			} {
				t.Run(client.task.Client, func(t *testing.T) { n.tryRelay(t, c, server, client.task, client.as) })
			}
		})
	}
}

func (n *node) tryRelay(t *testing.T, c *caddy, server *authorizationServer, task npmTask, as credentialsOf) {
	state := func(what, token string, active bool, gate int) {
		t.Helper()
		if got := server.active(t, token); got != active {
			t.Errorf("%s: active at the server: %t", what, got)
		}
		if a := c.bearer(t, token); a.status != gate {
			t.Errorf("%s at the gate: %d", what, a.status)
		}
	}
	one, two := server.signIn(t, as, opaqueTokens), server.signIn(t, as, opaqueTokens)
	task.Token = one.Access
	state("before", one.Access, true, http.StatusOK)
	n.succeed(t, c, task)
	state("revoked", one.Access, false, http.StatusUnauthorized)
	task.Token, task.Hint = two.Refresh, "refresh_token"
	state("of another session", two.Refresh, true, http.StatusOK)
	n.succeed(t, c, task)
	state("refresh token", two.Refresh, false, http.StatusUnauthorized)

	// What the server refuses lives on, and the client hears why.
	three := server.signIn(t, as, jwtTokens)
	task.Token, task.Hint = three.Access, ""
	n.fail(t, c, task, "unsupported_token_type") // of all JWTs
	task.Token = server.signIn(t, withSecret("other", providerSecret), opaqueTokens).Access
	if task.Method == publicWay { // which is not told that the token is there
		if o := n.revoke(t, task); o.Error != "" {
			t.Errorf("%+v", o)
		}
		if !server.active(t, task.Token) {
			t.Error("a stranger revoked a token")
		}
	} else {
		n.fail(t, c, task, "invalid_request")
		state("of another client", task.Token, true, http.StatusOK)
	}
	task.Token = three.Refresh
	switch {
	case task.Secret != "":
		task.Secret = "wrong"
	case task.Key != nil:
		task.Key = newKey(t, task.Alg).jwk(t)
	default:
		task.Client = "nobody"
	}
	n.fail(t, c, task, "invalid_client")
	state("of a client that could not prove itself", three.Refresh, true, http.StatusOK)
}

// What the server knows of a token before it revokes it says which session dies
// with it: its JWTs, which the server itself cannot take back.
func TestNPMRelayOfASession(t *testing.T) {
	j := newJudged(t, issuerJudge+introspectionJudge, "revoke session\nrelay ISSUER/token/revocation")
	mine, again := j.server.signIn(t, asApp, jwtTokens), j.server.signIn(t, asApp, jwtTokens)
	if o := j.revoke(t, mine.Refresh); o.Error != "" {
		t.Errorf("%+v", o)
	}
	if j.server.active(t, mine.Refresh) {
		t.Error("the refresh token is active at the server")
	}
	j.gate(t, "refresh token", mine.Refresh, http.StatusUnauthorized)
	j.gate(t, "access token of its session", mine.Access, http.StatusUnauthorized)
	j.gate(t, "of another session", again.Access, http.StatusOK)
}
