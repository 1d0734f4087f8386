package tests

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

const judgeSite = `
{
	admin ADMIN
	auto_https off
	token_revocation {
		store bolt STORE
		JUDGE
		client app {
			secret ` + providerSecret + `
		}
		client page {
			auth none
		}
	}
}
http://localhost:PORT {
	token_revocation {
		PROFILE
	}
	reverse_proxy UPSTREAM
}
`

const (
	issuerJudge        = "issuer ISSUER\n"
	introspectionJudge = "introspection ISSUER/token/introspection {\nclient_id gateway\nclient_secret " + gatewaySecret + "\n}\n"
)

// npmJudged is a Caddy that knows whose tokens of a server are, and a client of it.
type npmJudged struct {
	*caddy
	n      *node
	server *authorizationServer
	task   npmTask
}

func newJudged(t *testing.T, judge, profile string) *npmJudged {
	server := newAuthorizationServer(t, newKey(t, "ES256"))
	site := strings.NewReplacer("JUDGE", judge, "PROFILE", profile).Replace(judgeSite)
	c := start(t, server.site(site), newUpstream(t))
	return &npmJudged{c, runNode(t, "openid-client-6"), server, npmTask{
		Endpoint: c.url + "/token/revocation", Issuer: server.issuer, Client: "app", Method: basicWay, Secret: providerSecret,
	}}
}

// revoke lets the client app revoke a token.
func (j *npmJudged) revoke(t *testing.T, token string) npmOutcome {
	t.Helper()
	task := j.task
	task.Token = token
	return j.n.revoke(t, task)
}

// gate says whether the gate refuses a token as it should.
func (j *npmJudged) gate(t *testing.T, what, token string, status int) {
	t.Helper()
	if a := j.bearer(t, token); a.status != status {
		t.Errorf("%s at the gate: %d, want %d", what, a.status, status)
	}
}

var (
	asApp   = withSecret("app", providerSecret)
	asOther = withSecret("other", providerSecret)
)

// With an issuer, found by discovery, its signature decides.
func TestNPMIssuer(t *testing.T) {
	j := newJudged(t, issuerJudge, "profile rfc7009")
	mine, again := j.server.signIn(t, asApp, jwtTokens), j.server.signIn(t, asApp, jwtTokens)

	forged := forge(t, again.Access)
	if o := j.revoke(t, forged); o.Error != "" {
		t.Errorf("forged: %+v", o)
	}
	j.gate(t, "forged, of which nothing is stored", forged, http.StatusOK)
	j.gate(t, "what was forged", again.Access, http.StatusOK)

	other := j.server.signIn(t, asOther, jwtTokens)
	if o := j.revoke(t, other.Access); o.Code != "invalid_grant" {
		t.Errorf("of another client: %+v", o)
	}
	page := j.task
	page.Client, page.Method, page.Secret, page.Token = "page", publicWay, "", other.Access
	if o := j.n.revoke(t, page); o.Error != "" {
		t.Errorf("of another client, by a public one: %+v", o)
	}
	j.gate(t, "of another client", other.Access, http.StatusOK)

	sibling := j.server.refreshed(t, asApp, mine, jwtTokens)
	if o := j.revoke(t, mine.Access); o.Error != "" {
		t.Errorf("%+v", o)
	}
	j.gate(t, "revoked", mine.Access, http.StatusUnauthorized)
	j.gate(t, "another of the session", sibling, http.StatusOK)
	j.gate(t, "of another session", again.Access, http.StatusOK)
}

// forge changes a claim of a token and leaves its signature.
func forge(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(parts) != 3 || !strings.Contains(string(claims), `"sub":"alice"`) {
		t.Fatalf("not as expected: %s %v", claims, err)
	}
	changed := strings.Replace(string(claims), `"sub":"alice"`, `"sub":"admin"`, 1)
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(changed))
	return strings.Join(parts, ".")
}

// The profile session revokes the session of a token, and no other of the user.
func TestNPMIssuerSession(t *testing.T) {
	j := newJudged(t, issuerJudge, "profile session")
	mine, again := j.server.signIn(t, asApp, jwtTokens), j.server.signIn(t, asApp, jwtTokens)
	sibling := j.server.refreshed(t, asApp, mine, jwtTokens)
	if o := j.revoke(t, mine.Access); o.Error != "" {
		t.Errorf("%+v", o)
	}
	j.gate(t, "revoked", mine.Access, http.StatusUnauthorized)
	j.gate(t, "another of the session", sibling, http.StatusUnauthorized)
	j.gate(t, "one that it gets later", j.server.refreshed(t, asApp, mine, jwtTokens), http.StatusUnauthorized)
	j.gate(t, "of another session", again.Access, http.StatusOK)
	j.gate(t, "of a later session", j.server.signIn(t, asApp, jwtTokens).Access, http.StatusOK)
}

// With introspection, the authorization server's answer decides.
func TestNPMIntrospection(t *testing.T) {
	j := newJudged(t, introspectionJudge, "profile rfc7009")
	mine, again := j.server.signIn(t, asApp, opaqueTokens), j.server.signIn(t, asApp, opaqueTokens)
	if o := j.revoke(t, mine.Access); o.Error != "" {
		t.Errorf("%+v", o)
	}
	j.gate(t, "revoked", mine.Access, http.StatusUnauthorized)
	j.gate(t, "of another session", again.Access, http.StatusOK)

	unknown := newToken()
	if o := j.revoke(t, unknown); o.Error != "" {
		t.Errorf("unknown: %+v", o)
	}
	j.gate(t, "unknown, of which nothing is stored", unknown, http.StatusOK)
	other := j.server.signIn(t, asOther, opaqueTokens)
	if o := j.revoke(t, other.Access); o.Code != "invalid_grant" {
		t.Errorf("of another client: %+v", o)
	}
	j.gate(t, "of another client", other.Access, http.StatusOK)
}

// A refresh token takes its session along, whose JWTs the gate knows by what the
// issuer signed. This server does not say what is a refresh token, so that it
// takes the option.
func TestNPMRefreshTokenTakesItsSession(t *testing.T) {
	j := newJudged(t, issuerJudge+introspectionJudge, "revoke session")
	mine, again := j.server.signIn(t, asApp, jwtTokens), j.server.signIn(t, asApp, jwtTokens)
	if o := j.revoke(t, mine.Refresh); o.Error != "" {
		t.Errorf("%+v", o)
	}
	j.gate(t, "refresh token", mine.Refresh, http.StatusUnauthorized)
	j.gate(t, "access token of its session", mine.Access, http.StatusUnauthorized)
	j.gate(t, "of another session", again.Access, http.StatusOK)
}
