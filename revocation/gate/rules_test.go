package gate

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// ruleOf is a rule that refuses tokens that were issued at or before a time, if
// that matters for its kind.
func ruleOf(kind revocation.Kind, issuer, value string, issuedBefore time.Time) revocation.Record {
	if !kind.IssuedBefore() {
		issuedBefore = time.Time{}
	}
	return revocation.Record{
		Key: revocation.RuleKey(kind, issuer, value), Issuer: issuer, Value: value, IssuedBefore: issuedBefore,
		Revoked: time.Now(), Expires: time.Now().Add(24 * time.Hour), By: "admin", Operator: true,
	}
}

// dry is a rule that only counts.
func dry(r revocation.Record) revocation.Record {
	r.Effect = revocation.Count
	return r
}

func rule(tb testing.TB, list *revocation.Denylist, rules ...revocation.Record) {
	tb.Helper()
	if err := list.Revoke(tb.Context(), rules...); err != nil {
		tb.Fatal(err)
	}
}

// jwtWith is a token that is signed with the key k.
func jwtWith(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + encode([]byte(payload)) + ".c2lnbmF0dXJl"
}

func inHeader(token string) *http.Request {
	return request(http.Header{"Authorization": {"Bearer " + token}})
}

const iss = "https://i"

// One rule of each kind, and what it is to a token that it is about.
var oneOfEachKind = []struct {
	kind  revocation.Kind
	value string
}{
	{revocation.KindSession, "s"}, {revocation.KindJTI, "j"}, {revocation.KindSubject, "alice"},
	{revocation.KindClient, "c"}, {revocation.KindKey, "k"}, {revocation.KindIssuer, ""},
}

// Each rule refuses the tokens that it is about, in whichever writing and place.
func TestEachKindOfRule(t *testing.T) {
	const payload = `{"iss":"https://i","sub":"alice","jti":"j","client_id":"c","sid":"s","iat":1000}`
	encoded := base64.RawURLEncoding.EncodeToString([]byte(payload))
	of := jwtWith(payload)
	header := of[:strings.Index(of, ".")]
	disguises := []string{
		of, of + "=", header + "==." + encoded + ".", header + " . " + encoded + " .x", strings.Join(strings.Split(of, ""), " "),
		jwtWith(strings.Replace(payload, "{", `{"iss":"https://j",`, 1)),
		jwtWith(strings.ToUpper(payload[:5]) + payload[5:]),
		jwtWith(" " + strings.ReplaceAll(payload, `":`, "\" :\t")),
		jwtWith("\ufeff" + payload),
		jwtWith(strings.NewReplacer(`"sub"`, `"s\u0075b"`, "https://i", `https:\/\/i`).Replace(payload)),
		`{"payload":"` + encoded + `","protected":"` + header + `","signature":"x"}`,
		`{"PAYLOAD":"` + encoded + `","signatures":[{"protected":"e30"},{"protected":"` + header + `"}]}`,
		`{"payload":"` + encoded + `","protected":"e30","header":{"kid":"k"},"signature":"x"}`,
	}
	others := []string{
		jwtWith(`{"iss":"https://j","sub":"alice","jti":"j","client_id":"c","sid":"s","iat":1000}`),
		jwtWith(`{"sub":"alice","jti":"j","client_id":"c","sid":"s","iat":1000}`),
		jwtWith(`{"act":` + payload + `}`), "opaque-0123456789abcdef", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aXY.dGV4dA.dGFn",
	}
	g := gate(t, Place{In: Header, Name: "X-Token"}, Place{In: Cookie, Name: "at"}, Place{In: Form, Name: "token"})
	for _, test := range oneOfEachKind {
		list, _ := denylist(t, dead)
		inField := func(token string) *http.Request { return request(http.Header{"X-Token": {token}}) }
		for _, presented := range append(slices.Clone(disguises), others...) {
			if d := g.Check(list, nil, inField(presented)); d.Reason != Passed {
				t.Fatalf("%s: %+v without a rule", presented, d)
			}
		}
		r := ruleOf(test.kind, iss, test.value, time.Unix(1000, 0))
		rule(t, list, r)
		for _, presented := range disguises {
			d := g.Check(list, nil, inField(presented))
			if d.Reason != Revoked || d.Record.Key != r.Key || strings.Contains(d.Err.Error(), iss) || test.value != "" && strings.Contains(d.Err.Error(), " "+test.value) {
				t.Errorf("%s: %s: %+v", test.kind, presented, d)
			}
		}
		for _, presented := range others {
			if d := g.Check(list, nil, inField(presented)); d.Reason != Passed {
				t.Errorf("%s: %s: %+v", test.kind, presented, d)
			}
		}
		query := request(http.Header{})
		query.URL.RawQuery = "a=b&access_token=x&access_token=" + of
		form := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("token=x&token="+of))
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for place, r := range map[string]*http.Request{
			"bearer": inHeader(of), "no scheme": request(http.Header{"Authorization": {of}}), "query": query, "form": form,
			"cookie": request(http.Header{"Cookie": {"a=b; at=x; at=\"" + of + "\""}}), "twice": request(http.Header{"X-Token": {"x", "y," + of}}),
		} {
			if d := g.Check(list, httptest.NewRecorder(), r); d.Reason != Revoked {
				t.Errorf("%s in %s: %+v", test.kind, place, d)
			}
		}
	}
}

// Any one of several rules refuses, whatever the others are.
func TestSeveralRules(t *testing.T) {
	of := jwtWith(`{"iss":"https://i","sub":"alice","jti":"j","client_id":"c","sid":"s","iat":1000}`)
	late, early := time.Unix(1000, 0), time.Unix(999, 999e6)
	g := gate(t)
	for refusing := range oneOfEachKind {
		list, _ := denylist(t)
		for i, test := range oneOfEachKind {
			r := ruleOf(test.kind, iss, test.value, early)
			if !test.kind.IssuedBefore() {
				r = dry(r)
			}
			if i == refusing {
				r = ruleOf(test.kind, iss, test.value, late)
			}
			rule(t, list, r)
		}
		if d := g.Check(list, nil, inHeader(of)); d.Reason != Revoked || d.Record.Key.Kind != oneOfEachKind[refusing].kind {
			t.Errorf("%d: %+v", refusing, d)
		}
		key := revocation.RuleKey(oneOfEachKind[refusing].kind, iss, oneOfEachKind[refusing].value)
		if _, err := list.Restore(t.Context(), key, revocation.Decision{By: "admin"}); err != nil {
			t.Fatal(err)
		}
		if d := g.Check(list, nil, inHeader(of)); d.Reason != Passed {
			t.Errorf("%d, restored: %+v", refusing, d)
		}
	}
}

// A token that does not say clearly when it was issued counts as old.
func TestIssuedBefore(t *testing.T) {
	for _, test := range oneOfEachKind {
		if !test.kind.IssuedBefore() {
			continue
		}
		list, _ := denylist(t)
		rule(t, list, ruleOf(test.kind, iss, test.value, time.Unix(1000, 0)))
		tokens := map[string]Reason{}
		for claims, reason := range map[string]Reason{
			`"iat":1000`: Revoked, `"iat":1000.001`: Passed, `"iat":1001`: Passed, `"iat":999`: Revoked, `"iat":0`: Revoked,
			`"iat":1e3`: Revoked, `"iat":1.001e3`: Passed, `"x":1`: Revoked, `"iat":null`: Revoked, `"iat":"2000"`: Revoked,
			`"iat":2000000000000`: Revoked, `"iat":2000,"iat":1000`: Revoked, `"iat":2000,"iat":1500`: Passed,
			`"IAT":2000`: Revoked, `"iat":2000,"IAT":500`: Revoked, `"iat":2000,"IAT":null`: Revoked, `"iat":[2000]`: Revoked,
		} {
			tokens[jwtWith(`{"iss":"https://i","sub":"alice","azp":"c",`+claims+`}`)] = reason
		}
		reasons(t, gate(t), list, inHeader, tokens)
	}
}

func TestNamesOfIssuers(t *testing.T) {
	names, err := token.NewNames(token.Naming{Issuer: iss, Session: "sess", ID: "uti", Clients: []string{"app"}}, token.Naming{Issuer: "https://k", ID: "sub"})
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(nil, names)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := denylist(t)
	for _, issuer := range []string{iss, "https://j", "https://k"} {
		rule(t, list, ruleOf(revocation.KindJTI, issuer, "x", time.Time{}), ruleOf(revocation.KindClient, issuer, "x", time.Now()),
			ruleOf(revocation.KindSession, issuer, "x", time.Time{}))
	}
	tokens := map[string]Reason{}
	for claims, refusing := range map[string]string{
		`"jti":"x"`: "j", `"uti":"x"`: "i", `"sub":"x"`: "k", `"client_id":"x"`: "jk", `"app":"x"`: "i", `"sid":"x"`: "ijk", `"sess":"x"`: "i",
	} {
		for _, issuer := range []string{"i", "j", "k"} {
			reason := Passed
			if strings.Contains(refusing, issuer) {
				reason = Revoked
			}
			tokens[jwtOf(`{"iss":"https://`+issuer+`",`+claims+`}`)] = reason
		}
	}
	reasons(t, g, list, inHeader, tokens)
}

// A dry run counts requests that pass, each once, and refuses none.
func TestDryRuns(t *testing.T) {
	list, _ := denylist(t, dead)
	g := gate(t, Place{In: Header, Name: "X-Token"})
	subject := dry(ruleOf(revocation.KindSubject, iss, "alice", time.Unix(1000, 0)))
	issuer := dry(ruleOf(revocation.KindIssuer, iss, "", time.Unix(1000, 0)))
	rule(t, list, subject, issuer)
	of := func(i int) string {
		return jwtWith(fmt.Sprintf(`{"iss":"https://i","sub":"alice","jti":%d,"iat":1000}`, i))
	}
	tried := func(r revocation.Record, requests, tokens uint64) {
		t.Helper()
		if got := list.Tried(r.Key); got.Requests != requests || got.Tokens != tokens {
			t.Errorf("%s: %+v, want %d requests, %d tokens", r.Key.Kind, got, requests, tokens)
		}
	}
	d := g.Check(list, nil, inHeader(of(1)))
	if d.Reason != Passed || len(d.Counted) != 2 || d.Record != nil || d.Err != nil {
		t.Errorf("%+v", d)
	}
	tried(subject, 1, 1)
	g.Check(list, nil, inHeader(of(1)))
	g.Check(list, nil, inHeader(of(2)))
	tried(subject, 3, 2)
	tried(issuer, 3, 2)
	// Several tokens, and the same one in two places: one request.
	d = g.Check(list, nil, request(http.Header{"Authorization": {"Bearer " + of(3)}, "X-Token": {of(4), of(3), of(3) + "="}}))
	if d.Reason != Passed || len(d.Counted) != 2 {
		t.Errorf("%+v", d)
	}
	tried(subject, 4, 3)
	// Of others, or late ones, nothing is counted.
	for _, other := range []string{
		jwtWith(`{"iss":"https://i","sub":"alice","iat":1001}`), jwtWith(`{"iss":"https://j","sub":"alice"}`), "opaque-0123456789abcdef",
	} {
		if d := g.Check(list, nil, inHeader(other)); d.Reason != Passed || d.Counted != nil {
			t.Errorf("%s: %+v", other, d)
		}
	}
	// Nor of what is refused in any case.
	d = g.Check(list, nil, request(http.Header{"Authorization": {"Bearer " + of(5)}, "X-Token": {dead}}))
	if d.Reason != Revoked || d.Counted != nil {
		t.Errorf("%+v", d)
	}
	if d := g.Check(list, nil, request(http.Header{"X-Token": {of(5)}, "Authorization": {"Bearer x", "Bearer y"}})); d.Reason != Malformed {
		t.Errorf("%+v", d)
	}
	tried(subject, 4, 3)
	// The token itself can be on trial.
	own := revocation.Record{
		Key: token.Identify(of(6)).Key, Revoked: time.Now(), Expires: time.Now().Add(time.Hour), Effect: revocation.Count,
	}
	rule(t, list, own)
	if d := g.Check(list, nil, inHeader(of(6))); d.Reason != Passed || len(d.Counted) != 3 {
		t.Errorf("%+v", d)
	}
	tried(own, 1, 1)
	tried(issuer, 5, 4)
	// Switched on, it refuses.
	if _, err := list.Enforce(t.Context(), subject.Key, revocation.Decision{By: "admin"}); err != nil {
		t.Fatal(err)
	}
	if d := g.Check(list, nil, inHeader(of(7))); d.Reason != Revoked || d.Record.Key != subject.Key {
		t.Errorf("%+v", d)
	}
	tried(issuer, 5, 4)
}

// A request cannot make the gate remember without bounds.
func TestManyDryRuns(t *testing.T) {
	list, _ := denylist(t)
	var values []string
	for i := range 80 {
		rule(t, list, dry(ruleOf(revocation.KindJTI, iss, fmt.Sprint(i), time.Time{})))
		values = append(values, jwtOf(fmt.Sprintf(`{"iss":"https://i","jti":%d,"JTI":%d}`, i, 79-i)))
	}
	d := gate(t, Place{In: Header, Name: "X-Token"}).Check(list, nil, request(http.Header{"X-Token": values[:60]}))
	if d.Reason != Passed || len(d.Counted) != maxTrials {
		t.Errorf("%v, %d counted", d.Reason, len(d.Counted))
	}
}

// Tokens that nobody could read in full are refused only while there are rules.
func TestUnclearClaims(t *testing.T) {
	unclear := map[string]Reason{}
	for _, payload := range []string{`{"iss":NaN}`, `{iss:'i'}`, `{"iss":"i"`, `{` + several("iss", 40) + `"a":1}`, "{\x00}\x00"} {
		unclear[jwtOf(payload)] = Passed
	}
	list, _ := denylist(t, dead)
	reasons(t, gate(t), list, inHeader, unclear)
	rule(t, list, ruleOf(revocation.KindJTI, iss, "x", time.Time{}))
	for token := range unclear {
		unclear[token] = Malformed
	}
	unclear["opaque"], unclear[jwtOf(`text`)], unclear[dead] = Passed, Passed, Revoked
	reasons(t, gate(t), list, inHeader, unclear)
}
