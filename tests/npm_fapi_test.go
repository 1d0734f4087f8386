package tests

import (
	"net/http"
	"testing"
)

const npmFAPISite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		issuer ISSUER
		client keyed {
			auth private_key_jwt
			jwks KEYS
		}
	}
}
http://localhost:PORT {
	token_revocation {
		profile fapi
		relay ISSUER/token/revocation
	}
	reverse_proxy UPSTREAM
}
`

// A regulated third party revokes a token: it proves itself here and at the
// authorization server with the same assertion.
func TestNPMFAPI(t *testing.T) {
	key := newKey(t, "PS256")
	server := newAuthorizationServer(t, key)
	c := start(t, server.site(withKeys(t, npmFAPISite, key.set())), newUpstream(t))
	n := runNode(t, "oauth4webapi")
	task := npmTask{
		Endpoint: c.url + "/token/revocation", Issuer: server.issuer, Client: "keyed", Method: "private_key_jwt", Key: key.jwk(t), Alg: key.alg,
		Status: http.StatusNoContent, Headers: map[string]string{
			"x-fapi-interaction-id": "93bac548-d2de-4546-b106-880a5018460d", "x-fapi-customer-ip-address": "203.0.113.7",
		},
	}
	as := withKey(t, "keyed", key)
	one, two := server.signIn(t, as, opaqueTokens), server.signIn(t, as, opaqueTokens)
	task.Token = one.Access
	wrong := task
	wrong.Key = newKey(t, key.alg).jwk(t)
	if o := n.revoke(t, wrong); o.Error == "" {
		t.Error("a stranger's key will do")
	}
	if !server.active(t, one.Access) {
		t.Error("a stranger revoked a token")
	}
	n.succeed(t, c, task)
	if server.active(t, one.Access) {
		t.Error("the token is active at the server")
	}
	if !server.active(t, two.Access) {
		t.Error("another token is not")
	}
}
