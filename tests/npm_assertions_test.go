package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// npmAssertionSite has clients that sign assertions, in place of CLIENTS.
const npmAssertionSite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		issuer https://idp.example.com {
			jwks KEYS
		}
		CLIENTS
	}
}
http://localhost:PORT {
	token_revocation
	reverse_proxy UPSTREAM
}
`

// npmAssertionSecret is long enough for HS512.
const npmAssertionSecret = npmSecret + "-0123456789-0123456789-0123456789-0123456789"

// The libraries that can sign assertions do, with every algorithm that they
// have. Each names the issuer as the audience, as it knows it.
func TestNPMAssertions(t *testing.T) {
	var clients strings.Builder
	keys := map[string]clientKey{}
	for _, alg := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
	} {
		keys[alg] = newKey(t, alg)
		_, _ = fmt.Fprintf(&clients, "client %s {\nauth private_key_jwt\njwks `%s`\n}\n", alg, keys[alg].set())
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		_, _ = fmt.Fprintf(&clients, "client %s {\nauth client_secret_jwt\nsecret `%s`\n}\n", alg, npmAssertionSecret)
	}
	site := strings.Replace(withKeys(t, npmAssertionSite, newKey(t, "ES256").set()), "CLIENTS", clients.String(), 1)
	up := newUpstream(t)
	for name, algorithms := range map[string]string{
		"oauth4webapi":    "HS256 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 Ed25519",
		"openid-client-6": "HS256 RS256 PS256 ES256 ES384 ES512 Ed25519",
		"openid-client-5": "HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, c := runNode(t, name), start(t, site, up) // each its own, since who often fails has to wait
			for alg := range strings.FieldsSeq(algorithms) {
				t.Run(alg, func(t *testing.T) {
					task := c.assertionTask(t, alg, keys)
					n.succeed(t, c, task)
					n.succeed(t, c, task) // with another assertion
					task.Issuer, task.Token = task.Endpoint, newToken()
					n.succeed(t, c, task) // meant for the endpoint itself

					task.Token = newToken()
					wrong := task
					if wrong.Secret != "" {
						wrong.Secret = strings.Repeat("wrong", 20)
					} else {
						wrong.Key = newKey(t, alg).jwk(t)
					}
					n.fail(t, c, wrong, "invalid_client")
					n.succeed(t, c, task)
				})
			}
		})
	}
	t.Run("claims", func(t *testing.T) {
		c := start(t, site, up)
		n := runNode(t, "openid-client-5")
		now := time.Now()
		for name, spoil := range map[string]func(*npmTask){
			"unknown client": func(task *npmTask) { task.Client = "nobody" },
			"another client": func(task *npmTask) { task.Client = "ES384" },
			"unknown issuer": func(task *npmTask) { task.Issuer = "https://elsewhere.example.com" },
			"another algorithm": func(task *npmTask) {
				task.Method, task.Alg, task.Secret = "client_secret_jwt", "HS256", npmAssertionSecret
			},
		} {
			task := c.assertionTask(t, "ES256", keys)
			spoil(&task)
			t.Run(name, func(t *testing.T) { n.fail(t, c, task, "invalid_client") })
		}
		for name, claims := range map[string]map[string]any{
			"expired":          {"exp": now.Add(-time.Hour).Unix()},
			"ends far ahead":   {"exp": now.Add(time.Hour).Unix()},
			"not yet":          {"nbf": now.Add(time.Hour).Unix()},
			"of somebody else": {"sub": "RS256"},
			"by somebody else": {"iss": "RS256"},
			"for others":       {"aud": []string{"https://a.example.com", "https://b.example.com"}},
		} {
			task := c.assertionTask(t, "ES256", keys)
			task.Claims = claims
			t.Run(name, func(t *testing.T) { n.fail(t, c, task, "invalid_client") })
		}
		t.Run("for others too", func(t *testing.T) {
			task := c.assertionTask(t, "ES256", keys)
			task.Claims = map[string]any{"aud": []string{"https://a.example.com", task.Issuer}}
			n.succeed(t, c, task)
		})
		t.Run("used twice", func(t *testing.T) {
			task := c.assertionTask(t, "ES256", keys)
			task.Claims = map[string]any{"jti": "the only one"}
			n.succeed(t, c, task)
			task.Token = newToken()
			n.fail(t, c, task, "invalid_client")
			other := c.assertionTask(t, "ES384", keys)
			other.Claims = task.Claims
			n.succeed(t, c, other) // which is another client's
		})
	})
}

// assertionTask is a task for the client that has the name of an algorithm.
func (c *caddy) assertionTask(t *testing.T, alg string, keys map[string]clientKey) npmTask {
	t.Helper()
	task := npmTask{
		Endpoint: c.url + "/token/revocation", Issuer: "https://idp.example.com", Client: alg, Alg: alg, Method: "private_key_jwt", Token: newToken(),
	}
	if strings.HasPrefix(alg, "HS") {
		task.Method, task.Secret = "client_secret_jwt", npmAssertionSecret
	} else {
		task.Key = keys[alg].jwk(t)
	}
	return task
}
