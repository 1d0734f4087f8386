package gate

import (
	"net/http"
	"testing"
)

// Whoever may revoke can revoke any text. One that stands in many requests, but
// not where a token belongs, must not be a way to refuse them all.
func TestGenericWordsRefuseNobody(t *testing.T) {
	list, _ := denylist(t, "=", "==", "Basic", "Digest", "MD5", "auth", "HMAC-SHA1", "AWS4-HMAC-SHA256",
		`oauth_signature_method="HMAC-SHA1"`, `realm="https://example.com/a/long/realm"`, "https://example.com/a/long/realm",
		"SignedHeaders=content-type", "content-type")
	g := gate(t)
	for _, value := range []string{
		"Bearer YWJjZA==", "DPoP YWJjZGU=", "Basic dXNlcjpwYXNzd29yZA==", "Negotiate YWJjZA==",
		`Digest username="alice", realm="https://example.com/a/long/realm", algorithm=MD5, qop=auth, nc=00000001`,
		`OAuth realm="https://example.com/a/long/realm",oauth_signature_method="HMAC-SHA1",oauth_token="kkk9d7dh3k39sjv7"`,
		"AWS4-HMAC-SHA256 Credential=AKID/20130524/us-east-1/s3/aws4_request, SignedHeaders=content-type;host, Signature=fe5f80",
	} {
		r := request(http.Header{"Authorization": {value}})
		if got := g.Check(list, nil, r); got.Reason != Passed {
			t.Errorf("%s: %v (%v)", value, got.Reason, got.Err)
		}
	}
	list, _ = denylist(t, "kkk9d7dh3k39sjv7")
	r := request(http.Header{"Authorization": {`Token token="kkk9d7dh3k39sjv7", nonce="x"`}})
	if got := g.Check(list, nil, r); got.Reason != Revoked {
		t.Errorf("a token with its name: %v", got.Reason)
	}
}
