package gate

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// several are members of a JSON object with one name and different values.
func several(name string, n int) (members string) {
	for i := range n {
		members += fmt.Sprintf("%q:\"%d\",", name, i)
	}
	return members
}

func jwtOf(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(payload)) + ".c2lnbmF0dXJl"
}

func revokeSession(t *testing.T, list *revocation.Denylist, issuer, session string) revocation.Key {
	t.Helper()
	key := revocation.SessionKey(issuer, session)
	r := revocation.Record{Key: key, Revoked: time.Now(), Expires: time.Now().Add(time.Hour), By: "client"}
	if err := list.Revoke(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSession(t *testing.T) {
	list, _ := denylist(t, dead)
	g := gate(t, Place{In: Cookie, Name: "at"})
	inCookie := func(token string) *http.Request { return request(http.Header{"Cookie": {"at=" + token}}) }
	of := jwtOf(`{"iss":"https://i","sid":"s-1","jti":"9"}`)
	if d := g.Check(list, nil, inHeader(of)); d.Reason != Passed {
		t.Fatal(d)
	}
	key := revokeSession(t, list, "https://i", "s-1")
	d := g.Check(list, nil, inHeader(of))
	if d.Reason != Revoked || d.Record == nil || d.Record.Key != key || strings.Contains(d.Err.Error(), "s-1") {
		t.Errorf("%+v", d)
	}
	serialized := func(token string) string {
		parts := strings.Split(token, ".")
		return `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`
	}
	tokens := map[string]Reason{
		of: Revoked,
		jwtOf(`{"iss":"https://i","sid":"s-1","jti":"10"}`):        Revoked,
		jwtOf(`{"iss":"https://i","sid":"s-2","Sid":"s-1"}`):       Revoked,
		jwtOf(`{"iss":"https://j","sid":"s-1","iss":"https://i"}`): Revoked,
		jwtOf(`{"iss":"https://i","sid":"s-2"}`):                   Passed,
		jwtOf(`{"iss":"https://j","sid":"s-1"}`):                   Passed,
		jwtOf(`{"iss":"https://i","session_state":"s-1"}`):         Passed,
		jwtOf(`{"sub":"s-1"}`):                                     Passed,
		jwtOf(`{"iss":"https://i","sid":"s-1","n":NaN}`):           Malformed,
		jwtOf(`no JSON`):              Passed,
		"opaque-0123456789abcdef0123": Passed,
		"eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aXY.dGV4dA.dGFn":    Passed,
		jwtOf(`{` + several("iss", 8) + several("sid", 5) + `"a":1}`): Malformed,
	}
	reasons(t, g, list, inHeader, tokens)
	reasons(t, g, list, inCookie, tokens)
	reasons(t, gate(t, Place{In: Header, Name: "X-Token"}), list, func(token string) *http.Request {
		return request(http.Header{"X-Token": {token}})
	}, map[string]Reason{
		serialized(of):                                       Revoked,
		strings.Replace(of, ".", "=.", 1):                    Revoked,
		strings.Join(strings.Split(of, ""), " "):             Revoked,
		serialized(jwtOf(`{"iss":"https://i","sid":"s-2"}`)): Passed,
	})
	// The claim that an issuer has for it, beside the usual one.
	names, err := token.NewNames(token.Naming{Issuer: "https://i", Session: "session_state"})
	if err != nil {
		t.Fatal(err)
	}
	named, err := New(nil, names)
	if err != nil {
		t.Fatal(err)
	}
	reasons(t, named, list, inHeader, map[string]Reason{
		jwtOf(`{"iss":"https://i","session_state":"s-1"}`): Revoked,
		of: Revoked,
		jwtOf(`{"iss":"https://i","session_state":"s-2"}`): Passed,
		jwtOf(`{"iss":"https://j","session_state":"s-1"}`): Passed,
	})
	// What cannot be known refuses.
	list2, store2 := denylist(t)
	revokeSession(t, list2, "https://i", "s-1")
	store2.failing = http.ErrServerClosed
	reasons(t, g, list2, inHeader, map[string]Reason{of: Unavailable, dead: Passed})
}
