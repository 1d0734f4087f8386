package tests

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

const rulesSite = `
		token header X-Token
		token cookie at
		token form token`

// rulesToken is a token of the issuer that rules are about, with further claims,
// signed with a key of this name.
func rulesToken(kid, claims string) string {
	return jwtWithHeader(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid), fmt.Sprintf(`{"iss":%q,%s}`, adminIssuer, claims))
}

// rulesAt sends a token in every place where one may stand, and in several at
// once, and expects each request to be answered so; what is refused is not to
// reach the API.
func rulesAt(t *testing.T, c *caddy, up *upstream, token string, status int) {
	t.Helper()
	request := func(method, query, body string, header ...string) {
		t.Helper()
		r, err := http.NewRequest(method, c.url+"/api?"+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		before := up.reached.Load()
		got := do(t, r)
		if reached := up.reached.Load() > before; got.status != status || reached != (status == http.StatusOK) {
			t.Errorf("%s ?%s %v: %d, reached the API: %t, want %d", method, query, header, got.status, reached, status)
		}
	}
	query, other := url.Values{"access_token": {token}}.Encode(), newToken()
	parts := strings.Split(token, ".")
	serialized := fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2])
	request("GET", "", "", "Authorization", "Bearer "+token)
	request("GET", "", "", "Authorization", "DPoP "+token)
	request("GET", "a=b&"+query, "")
	request("GET", "access_token="+other+"&"+query, "")
	request("GET", "", "", "X-Token", token)
	request("GET", "", "", "X-Token", other, "X-Token", other+", "+token)
	request("GET", "", "", "X-Token", serialized)
	request("GET", "", "", "Cookie", "x=y; at="+token)
	request("POST", "", url.Values{"token": {token}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	request("GET", query, "", "Authorization", "Bearer "+other, "X-Token", other, "Cookie", "at="+token)
}

// Each kind of rule refuses exactly the tokens that it is about, wherever they
// stand, until it is taken back.
func TestRulesRefuse(t *testing.T) {
	up := newUpstream(t)
	c := start(t, siteWith(rulesSite), up)
	a := newAdmin(t, c)
	before := fmt.Sprintf(`"iat":%d`, time.Now().Add(-time.Hour).Unix())
	own := `"sub":"alice","client_id":"shop","sid":"s1","jti":"j1",` + before
	token := rulesToken("k1", own)
	for _, rule := range []struct{ kind, value, other string }{
		{"session", "s1", rulesToken("k1", strings.Replace(own, "s1", "s2", 1))},
		{"jti", "j1", rulesToken("k1", strings.Replace(own, "j1", "j2", 1))},
		{"subject", "alice", rulesToken("k1", strings.Replace(own, "alice", "bob", 1))},
		{"client", "shop", rulesToken("k1", strings.Replace(own, "shop", "app", 1))},
		{"key", "k1", rulesToken("k2", own)},
		{"issuer", "", jwtWithHeader(`{"alg":"ES256","kid":"k1"}`, `{"iss":"https://other.example.com",`+own+`}`)},
	} {
		rulesAt(t, c, up, token, http.StatusOK)
		a.change(t, "revoke", aboutRule(rule.kind, rule.value))
		rulesAt(t, c, up, token, http.StatusUnauthorized)
		rulesAt(t, c, up, rule.other, http.StatusOK)
		rulesAt(t, c, up, jwt(`{`+own+`}`), http.StatusOK) // of nobody
		a.change(t, "restore", aboutRule(rule.kind, rule.value))
	}
	rulesAt(t, c, up, token, http.StatusOK)
	// A number is the text that it is written as.
	a.change(t, "revoke", aboutRule("jti", "1.50"))
	rulesAt(t, c, up, rulesToken("k1", `"jti":1.50,`+before), http.StatusUnauthorized)
	rulesAt(t, c, up, rulesToken("k1", `"jti":"1.50",`+before), http.StatusUnauthorized)
	rulesAt(t, c, up, rulesToken("k1", `"jti":1.5,`+before), http.StatusOK)
}

// Several rules apply together: each takes its tokens, and goes by itself.
func TestRulesTogether(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	tokens := map[string]string{
		"subject": rulesToken("k2", `"sub":"alice"`), "client": rulesToken("k2", `"azp":"shop"`),
		"key": rulesToken("k1", `"sub":"bob"`), "jti": rulesToken("k2", `"jti":"j1"`), "session": rulesToken("k2", `"sid":"s1"`),
	}
	values := map[string]string{"subject": "alice", "client": "shop", "key": "k1", "jti": "j1", "session": "s1"}
	everything := rulesToken("k1", `"sub":"alice","azp":"shop","jti":"j1","sid":"s1"`)
	for kind, value := range values {
		a.change(t, "revoke", aboutRule(kind, value))
	}
	for kind := range values {
		a.gate(t, everything, http.StatusUnauthorized)
		a.gate(t, tokens[kind], http.StatusUnauthorized)
	}
	for kind, value := range values {
		a.gate(t, everything, http.StatusUnauthorized)
		a.change(t, "restore", aboutRule(kind, value))
		a.gate(t, tokens[kind], http.StatusOK)
	}
	a.gate(t, everything, http.StatusOK)
	a.change(t, "revoke", aboutRule("issuer", ""))
	for _, token := range tokens {
		a.gate(t, token, http.StatusUnauthorized)
	}
}

// The time of a rule, in each way in which people give one, and in the claims of
// tokens.
func TestRulesIssuedBefore(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	now := time.Now()
	issued := func(ago time.Duration) string {
		return rulesToken("k1", fmt.Sprintf(`"sub":"alice","azp":"shop","iat":%d`, now.Add(-ago).Unix()))
	}
	unclear := []string{
		rulesToken("k1", `"sub":"alice","azp":"shop"`), rulesToken("k1", `"sub":"alice","azp":"shop","iat":null`),
		rulesToken("k1", fmt.Sprintf(`"sub":"alice","azp":"shop","iat":"%d"`, now.Add(time.Hour).Unix())),
		rulesToken("k1", fmt.Sprintf(`"sub":"alice","azp":"shop","IAT":%d`, now.Add(time.Hour).Unix())),
		rulesToken("k1", fmt.Sprintf(`"sub":"alice","azp":"shop","iat":%d,"iat":1`, now.Add(time.Hour).Unix())),
	}
	for _, rule := range []struct{ kind, value string }{{"subject", "alice"}, {"client", "shop"}, {"key", "k1"}, {"issuer", ""}} {
		for _, test := range []struct {
			when   string
			old    time.Duration // is refused
			recent time.Duration // passes
		}{
			{`"issued_before":"30m ago"`, 31 * time.Minute, 29 * time.Minute},
			{fmt.Sprintf(`"issued_before":%d`, now.Add(-10*time.Minute).Unix()), 10 * time.Minute, 10*time.Minute - time.Second},
			{fmt.Sprintf(`"issued_before":%q`, now.Add(-5*time.Minute).UTC().Format(time.RFC3339)), 5 * time.Minute, 5*time.Minute - time.Second},
			{`"issued_before":"now"`, 0, -time.Hour},
			{`"reason":"no time is now"`, 0, -time.Hour},
			{`"issued_before":"in 2h"`, -time.Hour, -3 * time.Hour},
		} {
			a.change(t, "revoke", aboutRule(rule.kind, rule.value, test.when))
			a.gate(t, issued(test.old), http.StatusUnauthorized)
			a.gate(t, issued(24*time.Hour), http.StatusUnauthorized)
			a.gate(t, issued(test.recent), http.StatusOK)
			for _, token := range unclear {
				a.gate(t, token, http.StatusUnauthorized)
			}
		}
		a.change(t, "restore", aboutRule(rule.kind, rule.value))
		a.gate(t, unclear[0], http.StatusOK)
	}
}

// A rule ends when it says.
func TestRulesEnd(t *testing.T) {
	t.Parallel()
	c := start(t, strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tleeway 0s", 1), newUpstream(t))
	a := newAdmin(t, c)
	token := rulesToken("k1", `"sub":"alice"`)
	end := time.Now().Add(4 * time.Second)
	a.change(t, "revoke", aboutRule("subject", "alice", `"expires":"in 3s"`))
	a.change(t, "revoke", aboutRule("issuer", "", `"issued_before":"1h ago"`, `"expires":"in 1s"`))
	for {
		asked := time.Now()
		got := c.bearer(t, token)
		switch {
		case got.status == http.StatusOK && time.Until(end) > 1500*time.Millisecond:
			t.Fatalf("it ended %s early", time.Until(end))
		case got.status == http.StatusOK:
			return
		case asked.After(end.Add(10 * time.Second)):
			t.Fatal("it does not end")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A dry run counts the requests and the tokens that it would have refused, and
// refuses them when it is switched on.
func TestRulesOnTrial(t *testing.T) {
	c := start(t, siteWith(rulesSite), newUpstream(t))
	a := newAdmin(t, c)
	issued := time.Now().Add(-time.Minute).Unix()
	of := func(i int) string { // the same token each time
		return rulesToken("k1", fmt.Sprintf(`"sub":"alice","jti":"%d","iat":%d`, i, issued))
	}
	rule := a.change(t, "revoke", aboutRule("subject", "alice", `"dry_run":true`))
	for i := range 5 {
		for range 3 {
			a.gate(t, of(i), http.StatusOK)
		}
	}
	a.gate(t, rulesToken("k1", fmt.Sprintf(`"sub":"alice","iat":%d`, time.Now().Add(time.Hour).Unix())), http.StatusOK)
	a.gate(t, rulesToken("k1", `"sub":"bob"`), http.StatusOK)
	// The same token twice in a request, and one that is refused in any case.
	token := of(1)
	twice, err := http.NewRequest(http.MethodGet, c.url+"/api?access_token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	twice.Header.Set("Authorization", "Bearer "+token)
	do(t, twice)
	dead := newToken()
	c.revoke(t, dead)
	twice.Header.Set("X-Token", dead)
	if got := do(t, twice); got.status != http.StatusUnauthorized {
		t.Errorf("a revoked token beside one on trial: %d", got.status)
	}
	var tried adminRecord
	a.wants(t, http.StatusOK, &tried, http.MethodGet, "records/"+rule.ID, "")
	if tried.Effect != "count" || tried.Trial == nil || tried.Trial.Requests != 16 || tried.Trial.Tokens != 5 {
		t.Errorf("%+v, %+v", tried, tried.Trial)
	}
	if on := a.change(t, "revoke", aboutID(rule.ID)); on.Effect != "refuse" || !on.IssuedBefore.Equal(*rule.IssuedBefore) {
		t.Errorf("%+v", on)
	}
	a.gate(t, of(1), http.StatusUnauthorized)
	a.gate(t, rulesToken("k1", fmt.Sprintf(`"sub":"alice","iat":%d`, time.Now().Add(time.Hour).Unix())), http.StatusOK)
}

// Rules survive kill -9, and so does that they were taken back.
func TestRulesSurvive(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	late := fmt.Sprintf(`,"iat":%d`, time.Now().Add(time.Hour).Unix())
	for kind, value := range map[string]string{"session": "s1", "jti": "j1", "subject": "alice", "client": "shop", "key": "k1"} {
		a.change(t, "revoke", aboutRule(kind, value))
	}
	a.change(t, "revoke", aboutRule("subject", "bob"))
	a.change(t, "restore", aboutRule("subject", "bob"))
	a.change(t, "revoke", aboutRule("subject", "carol", `"dry_run":true`))
	check := func() {
		t.Helper()
		for _, claims := range []string{`"sid":"s1"`, `"jti":"j1"`, `"sub":"alice"`, `"cid":"shop"`, `"sid":"s1"` + late} {
			a.gate(t, rulesToken("k2", claims), http.StatusUnauthorized)
		}
		a.gate(t, rulesToken("k1", `"sub":"x"`), http.StatusUnauthorized)
		for _, claims := range []string{`"sub":"alice"` + late, `"sub":"bob"`, `"sub":"carol"`} {
			a.gate(t, rulesToken("k2", claims), http.StatusOK)
		}
	}
	check()
	c.kill(syscall.SIGKILL)
	c.launch(siteWith())
	check()
	if err := c.reload(siteWith("realm other")); err != nil {
		t.Fatal(err)
	}
	check()
}

// A reload with other names of claims is in force with the first request.
func TestRulesWithOtherNames(t *testing.T) {
	keys := newKey(t, "ES256").set()
	with := func(options string) string {
		config := strings.Replace(siteWith(), "store bolt STORE", "store bolt STORE\n\t\tissuer "+adminIssuer+" {\n\t\t\tjwks KEYS\n"+options+"\t\t}", 1)
		return withKeys(t, config, keys)
	}
	c := start(t, with(""), newUpstream(t))
	a := newAdmin(t, c)
	for kind, value := range map[string]string{"session": "s1", "jti": "j1", "client": "shop"} {
		a.change(t, "revoke", aboutRule(kind, value))
	}
	usual := map[string]string{"session": `"sid":"s1"`, "jti": `"jti":"j1"`, "client": `"azp":"shop"`}
	own := map[string]string{"session": `"sess":"s1"`, "jti": `"uti":"j1"`, "client": `"app":"shop"`}
	status := func(claims map[string]string, statuses map[string]int) {
		t.Helper()
		for kind, status := range statuses {
			if got := c.bearer(t, rulesToken("k1", claims[kind])); got.status != status {
				t.Errorf("%s: %d, want %d", claims[kind], got.status, status)
			}
		}
	}
	const dies, lives = http.StatusUnauthorized, http.StatusOK
	status(usual, map[string]int{"session": dies, "jti": dies, "client": dies})
	status(own, map[string]int{"session": lives, "jti": lives, "client": lives})
	if err := c.reload(with("\t\t\tsession_claim sess\n\t\t\tid_claim uti\n\t\t\tclient_claim app\n")); err != nil {
		t.Fatal(err)
	}
	status(usual, map[string]int{"session": dies, "jti": lives, "client": lives})
	status(own, map[string]int{"session": dies, "jti": dies, "client": dies})
	// They are the names of that issuer only.
	other := strings.ReplaceAll(aboutRule("jti", "j1"), adminIssuer, "https://other.example.com")
	a.change(t, "revoke", other)
	a.gate(t, jwt(`{"iss":"https://other.example.com","jti":"j1"}`), dies)
	a.gate(t, jwt(`{"iss":"https://other.example.com","uti":"j1"}`), lives)
	if err := c.reload(with("")); err != nil {
		t.Fatal(err)
	}
	status(usual, map[string]int{"session": dies, "jti": dies, "client": dies})
	status(own, map[string]int{"session": lives, "jti": lives, "client": lives})
}

// While there are rules, what only some readers could read is refused as
// malformed; and a token that is no JWS falls under none.
func TestRulesAndUnclearTokens(t *testing.T) {
	c := start(t, siteWith(), newUpstream(t))
	a := newAdmin(t, c)
	encode := base64.RawURLEncoding.EncodeToString
	unclear := []string{jwt(`{"iss":"https://idp.example.com","sub":"alice","n":NaN}`), jwt(`{iss:'https://idp.example.com'}`)}
	for _, token := range unclear {
		a.gate(t, token, http.StatusOK)
	}
	a.change(t, "revoke", aboutRule("issuer", ""))
	for _, token := range unclear {
		a.gate(t, token, http.StatusBadRequest)
	}
	encrypted := encode([]byte(`{"alg":"dir","enc":"A128GCM","iss":"`+adminIssuer+`"}`)) + ".." + encode([]byte("iv")) + ".dGV4dA.dGFn"
	for _, token := range []string{confidential.add(encrypted), newToken(), jwt("no claims")} {
		a.gate(t, token, http.StatusOK)
	}
}
