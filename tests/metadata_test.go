package tests

import (
	"net/http"
	"strings"
	"testing"
)

// metadataSite has two endpoints, of which one takes fewer clients.
const metadataSite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		client backend {
			secret backend-secret
		}
		client webapp
		client shared {
			auth client_secret_jwt
			secret a-secret-of-at-least-thirty-two-bytes
		}
		client signing {
			jwks KEYS
		}
		client certified {
			tls_san_dns client.example.com
		}
	}
}
http://localhost:PORT {
	token_revocation
	token_revocation /fapi/* {
		endpoint /fapi/revoke
		profile fapi
	}
	token_revocation /off/* {
		endpoint off
	}
	reverse_proxy UPSTREAM
}
`

// The admin endpoint says what the authorization server's metadata should.
func TestMetadata(t *testing.T) {
	up := newUpstream(t)
	c := start(t, withKeys(t, metadataSite, newKey(t, "ES256").set()), up)
	ask := func(method string) answer {
		request, err := http.NewRequest(method, "http://"+c.admin+"/token_revocation/metadata", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		return do(t, request)
	}
	const asymmetric = `"ES256","ES384","ES512","Ed25519","EdDSA"`
	a := ask(http.MethodGet)
	for _, part := range []string{
		`{"revocation_endpoint":"/token/revocation","revocation_endpoint_auth_methods_supported":` +
			`["client_secret_basic","client_secret_jwt","client_secret_post","none","private_key_jwt","tls_client_auth"],` +
			`"revocation_endpoint_auth_signing_alg_values_supported":[` + asymmetric + `,"HS256","PS256","PS384","PS512","RS256","RS384","RS512"]}`,
		`{"revocation_endpoint":"/fapi/revoke","revocation_endpoint_auth_methods_supported":["private_key_jwt","tls_client_auth"],` +
			`"revocation_endpoint_auth_signing_alg_values_supported":[` + asymmetric + `,"PS256","PS384","PS512","RS256","RS384","RS512"]}`,
	} {
		if a.status != http.StatusOK || a.header.Get("Content-Type") != inJSON || !strings.Contains(a.body, part) {
			t.Errorf("%d %s\nwithout\n%s", a.status, a.body, part)
		}
	}
	if strings.Contains(a.body, "off") {
		t.Errorf("%s", a.body)
	}
	if a := ask(http.MethodPost); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.status)
	}
	if err := c.reload("{\n\tadmin ADMIN\n}\n"); err != nil {
		t.Fatal(err)
	}
	if a := ask(http.MethodGet); a.status != http.StatusOK || strings.TrimSpace(a.body) != "[]" {
		t.Errorf("without the module: %d %s", a.status, a.body)
	}
}
