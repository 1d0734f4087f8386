package gate

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// memory is a store for tests of what does not touch it.
type memory struct {
	mu      sync.Mutex
	records map[revocation.Key]revocation.Record
	failing error
}

func (m *memory) Put(_ context.Context, b revocation.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range b.Records {
		m.records[r.Key] = r
	}
	return nil
}

func (m *memory) Get(key revocation.Key) (revocation.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[key]
	switch {
	case m.failing != nil:
		return r, m.failing
	case !ok:
		return r, revocation.ErrNotFound
	}
	return r, nil
}

func (*memory) Scan(context.Context, revocation.Key, func(revocation.Record) error) error { return nil }
func (*memory) Drop(context.Context, time.Time) (int, error)                              { return 0, nil }
func (*memory) Cursor() ([]byte, error)                                                   { return nil, nil }
func (*memory) Close() error                                                              { return nil }

// denylist is one in which the given tokens are revoked, and its store.
func denylist(tb testing.TB, revoked ...string) (*revocation.Denylist, *memory) {
	tb.Helper()
	store := &memory{records: map[revocation.Key]revocation.Record{}}
	list, err := revocation.Open(tb.Context(), store, revocation.Options{CacheBytes: 1 << 16})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = list.Close() })
	for _, s := range revoked {
		revoke(tb, list, s, time.Now().Add(time.Hour))
	}
	return list, store
}

func revoke(tb testing.TB, list *revocation.Denylist, s string, expires time.Time) {
	tb.Helper()
	id := token.Identify(s)
	for _, key := range append([]revocation.Key{id.Key}, id.Others...) {
		r := revocation.Record{Key: key, Revoked: time.Now(), Expires: expires, By: "client"}
		if err := list.Revoke(context.Background(), r); err != nil {
			tb.Fatal(err)
		}
	}
}

func gate(tb testing.TB, places ...Place) *Gate {
	tb.Helper()
	g, err := New(places, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func request(header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api", nil)
	r.Header = header
	return r
}

// reasons runs a table of what is looked at to the reason of the decision.
func reasons(t *testing.T, g *Gate, list *revocation.Denylist, make func(what string) *http.Request, want map[string]Reason) {
	t.Helper()
	for what, reason := range want {
		if d := g.Check(list, httptest.NewRecorder(), make(what)); d.Reason != reason {
			t.Errorf("%q: %s, want %s (%v)", what, d.Reason, reason, d.Err)
		}
	}
}

const dead = "dead-0123456789abcdef" // a token that is revoked

func TestAuthorization(t *testing.T) {
	list, _ := denylist(t, dead)
	g := gate(t, Place{In: Header, Name: "authorization", Schemes: []string{"Token"}})
	reasons(t, g, list, func(value string) *http.Request { return request(http.Header{"Authorization": {value}}) }, map[string]Reason{
		"":                                         Passed,
		"Bearer alive":                             Passed,
		"Bearer 17|abc":                            Passed,
		"Bearer a.b.c":                             Passed,
		"Basic YTpi":                               Passed,
		`Digest username="x", uri="/"`:             Passed,
		"Bearer dead-0123456789abcdef":             Revoked,
		"bEARER\t dead-0123456789abcdef \t":        Revoked,
		"DPoP dead-0123456789abcdef":               Revoked,
		"token dead-0123456789abcdef":              Revoked,
		"Other dead-0123456789abcdef":              Revoked,
		"dead-0123456789abcdef":                    Revoked,
		"Bearerdead-0123456789abcdef":              Revoked,
		"Bearer:dead-0123456789abcdef":             Revoked,
		"Bearer: dead-0123456789abcdef":            Revoked,
		"Bearer\xa0dead-0123456789abcdef":          Revoked,
		"XXXXXXXdead-0123456789abcdef":             Revoked,
		"DPoP XXdead-0123456789abcdef":             Revoked,
		`Other token="dead-0123456789abcdef", x=y`: Revoked,
		`Bearer token="dead-0123456789abcdef"`:     Revoked,
		`Bearer dead-0123456789abcdef;x=y`:         Revoked,
		`Bearer 'dead-0123456789abcdef'`:           Revoked,
		"Bearer":                                   Malformed,
		"Bearer ":                                  Malformed,
		"Bearer dead-0123456789abcdef,alive":       Malformed,
		"Bearer alive dead-0123456789abcdef":       Malformed,
		"Bearer alive\xc2\xa0":                     Malformed,
		"Bearer al\x00ive":                         Malformed,
		"token alive, alive":                       Malformed,
	})
	d := g.Check(list, nil, request(http.Header{"Authorization": {"Bearer alive", "Bearer alive"}}))
	if d.Reason != Malformed {
		t.Errorf("two fields: %s", d.Reason)
	}
}

func TestSchemeOfTheAnswer(t *testing.T) {
	list, _ := denylist(t, dead)
	g := gate(t)
	for value, want := range map[string]string{
		"Bearer dead-0123456789abcdef": "Bearer", "dpop dead-0123456789abcdef": "DPoP", "DPoP": "DPoP", "Other dead-0123456789abcdef": "Bearer",
	} {
		if d := g.Check(list, nil, request(http.Header{"Authorization": {value}})); d.Scheme != want {
			t.Errorf("%q: %s, want %s", value, d.Scheme, want)
		}
	}
}

func TestSameName(t *testing.T) {
	for _, test := range []struct {
		name string
		raw  []string
		same bool
	}{
		{"access_token", []string{
			"access_token", "ACCESS_TOKEN", "access.token", "access+token", "access token", "access[token",
			"%61ccess%5Ftoken", "%61ccess%5ftoken", "access%2etoken", "access%20token", "access%5Btoken", "%u0061ccess_token", "%U0061ccess_token",
			"access_token[]", "access_token%5B%5D", "access_token[x][y]", "access_token%00", "access_token ", "access_token+", "access_token]",
			" access_token", "+access_token", "%20%20access_token", "[access_token]", "[[access_token", "%5baccess_token%5d", "]access_token", "?access_token", ".access_token", "access_token.x",
			"\xc2\xa0access_token", "access_token%c2%a0", "%0aaccess_token", "[][access_token]",
		}, true},
		{"access_token", []string{
			"", "a", "access", "access_toke", "access_tokens", "access_token_", "xaccess_token", "_access_token", "access-token", "accesstoken",
			"access%token", "%access_token", "%6access_token", "x[access_token]", "%u006access_token", "%u0161ccess_token",
		}, false},
		{"a.b c", []string{"a_b_c", "A.B%20C", "a[b+c"}, true},
		{"_x", []string{"_x", " x", " _x", "+_x", "%5fX"}, true},
		{"x-y", []string{"x-y", "X-Y"}, true},
		{"x-y", []string{"x_y", "xy"}, false},
	} {
		for _, raw := range test.raw {
			if got := sameName(raw, foldName(test.name)); got != test.same {
				t.Errorf("sameName(%q, %q) = %t", raw, test.name, got)
			}
		}
	}
}

func TestUnescape(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "a": "a", "a+b": "a b", "a%2Bb": "a+b", "a%2bb": "a+b", "%": "%", "%4": "%4", "%4x": "%4x", "%zz%41": "%zzA", "%%41": "%A",
		"%u0041": "A", "%u004": "%u004", "%u0141": "%u0141", "%25u0041": "%u0041", "%C3%A4": "ä",
	} {
		if got := unescape(raw, ' '); got != want {
			t.Errorf("unescape(%q) = %q, want %q", raw, got, want)
		}
	}
	if got := unescape("a+b%2b", '+'); got != "a+b+" {
		t.Errorf("%q", got)
	}
}

func TestQuery(t *testing.T) {
	list, _ := denylist(t, dead, "a+b", "c d")
	g := gate(t, Place{In: Query, Name: "Key"})
	reasons(t, g, list, func(raw string) *http.Request {
		r := request(nil)
		r.URL.RawQuery = raw
		return r
	}, map[string]Reason{
		"":                                     Passed,
		"access_token=alive":                   Passed,
		"access_token":                         Passed,
		"access_token=":                        Passed,
		"token=dead-0123456789abcdef":          Passed,
		"x=access_token=dead-0123456789abcdef": Passed,
		"next=/?access_token=dead-0123456789abcdef":                                Passed,
		"access_token=dead-0123456789abcdef":                                       Revoked,
		"key=dead-0123456789abcdef":                                                Revoked,
		"access_token=alive&key=dead-0123456789abcdef":                             Revoked,
		"key=alive;key=dead-0123456789abcdef":                                      Revoked,
		"&&;a;b&access_token=dead-0123456789abcdef;x":                              Revoked,
		"access_token=alive;access_token=dead-0123456789abcdef&access_token=alive": Revoked,
		"[access_token]x=y]=dead-0123456789abcdef":                                 Revoked,
		"access_token[=%5d=dead-0123456789abcdef":                                  Revoked,
		"access_token=%64ead-0123456789abcdef":                                     Revoked,
		"access_token=%u0064ead-0123456789abcdef":                                  Revoked,
		"access_token=%20dead-0123456789abcdef%0a":                                 Revoked,
		"access_token=%EF%BB%BFdead-0123456789abcdef%C2%A0":                        Revoked,
		"access_token=%22dead-0123456789abcdef%22":                                 Revoked,
		"access_token=a+b":                                                         Revoked,
		"access_token=a%2bb":                                                       Revoked,
		"access_token=c+d":                                                         Revoked,
		"access_token=c%20d":                                                       Revoked,
		strings.Repeat("key=x&", 64):                                               Passed,
		strings.Repeat("key=x&", 65):                                               Malformed,
		strings.Repeat("key=&", 1000):                                              Passed,
		"access_token=" + `{"payload":"","payload":"","signature":""}`:             Malformed,
	})
}

func TestCookie(t *testing.T) {
	list, _ := denylist(t, dead, "c d")
	g := gate(t, Place{In: Cookie, Name: "sid"})
	reasons(t, g, list, func(value string) *http.Request { return request(http.Header{"Cookie": strings.Split(value, "\n")}) }, map[string]Reason{
		"":                                     Passed,
		"sid=alive":                            Passed,
		"sid":                                  Passed,
		"sid=":                                 Passed,
		`sid=""`:                               Passed,
		"other=dead-0123456789abcdef":          Passed,
		`other="a b\"; x`:                      Passed,
		"sid=dead-0123456789abcdef":            Revoked,
		"a=b;sid=dead-0123456789abcdef":        Revoked,
		"a=b; SID = dead-0123456789abcdef ;c":  Revoked,
		"a=b\nsid=dead-0123456789abcdef":       Revoked,
		"sid=alive; sid=dead-0123456789abcdef": Revoked,
		`sid="dead-0123456789abcdef"`:          Revoked,
		"s%69d=%64ead-0123456789abcdef":        Revoked,
		"sid=c%20d":                            Revoked,
		"sid=c+d":                              Revoked,
		"a=b,sid=dead-0123456789abcdef":        Revoked,
		"a=b sid=dead-0123456789abcdef":        Revoked,
		"a=b sid = dead-0123456789abcdef":      Revoked,
		"a=b, sid= dead-0123456789abcdef ,c=d": Revoked,
		"a=b\tsid=dead-0123456789abcdef":       Revoked,
		"\xa0sid=dead-0123456789abcdef":        Revoked,
		"sid[]=dead-0123456789abcdef":          Revoked,
		"sid=alive dead-0123456789abcdef":      Malformed,
		"sid=alive,dead-0123456789abcdef":      Malformed,
		`sid=al\ive`:                           Malformed,
		`sid="alive`:                           Malformed,
		"sid=al\xc3\xa4ve":                     Malformed,
	})
}

func TestHeader(t *testing.T) {
	list, _ := denylist(t, dead)
	g := gate(t, Place{In: Header, Name: "x_api-token", Schemes: []string{"Key"}}, Place{In: Header, Name: "Sec-WebSocket-Protocol"})
	kubernetes := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(dead))
	reasons(t, g, list, func(value string) *http.Request {
		name, value, _ := strings.Cut(value, ": ")
		return request(http.Header{http.CanonicalHeaderKey(name): {value}})
	}, map[string]Reason{
		"X-Api-Token: ":                                       Passed,
		"X-Api-Token: alive":                                  Passed,
		"X-Api-Tokens: dead-0123456789abcdef":                 Passed,
		"X-Api: dead-0123456789abcdef":                        Passed,
		"X-Api-Token: dead-0123456789abcdef":                  Revoked,
		"x_api_token: dead-0123456789abcdef":                  Revoked,
		"X-API_TOKEN: dead-0123456789abcdef":                  Revoked,
		"X.Api!Token: dead-0123456789abcdef":                  Revoked,
		"X-Api-Token: alive, dead-0123456789abcdef":           Revoked,
		"X-Api-Token: ,dead-0123456789abcdef,":                Revoked,
		"X-Api-Token: Key dead-0123456789abcdef":              Revoked,
		"X-Api-Token: keydead-0123456789abcdef":               Revoked,
		"X-Api-Token: KEY: dead-0123456789abcdef":             Revoked,
		"X-Api-Token: alive,Key dead-0123456789abcdef":        Revoked,
		"X-Api-Token: Other dead-0123456789abcdef":            Revoked,
		`X-Api-Token: "dead-0123456789abcdef"`:                Revoked,
		"Sec-WebSocket-Protocol: chat, dead-0123456789abcdef": Revoked,
		"Sec-WebSocket-Protocol: chat, " + kubernetes:         Revoked,
		"Sec-WebSocket-Protocol: " + kubernetes + "==,chat":   Revoked,
		"Sec-WebSocket-Protocol: " + strings.ToUpper("base64url.bearer.authorization.k8s.io.") + kubernetes[38:]: Revoked,
		"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.%%%":                                      Passed,
		"X-Api-Token: " + strings.Repeat("a,", 100):                                                              Malformed,
	})
}

func TestKindOfForm(t *testing.T) {
	for contentType, want := range map[string]struct {
		kind formKind
		err  bool
	}{
		"":                 {urlencoded, false},
		"application/json": {noForm, false},
		"text/plain; x=application/x-www-form-urlencoded":                    {noForm, true},
		"application/x-www-form-urlencoded":                                  {urlencoded, false},
		"Application/X-WWW-Form-Urlencoded ; Charset=UTF-8":                  {urlencoded, false},
		"application/x-www-form-urlencoded;":                                 {urlencoded, false},
		"application/x-www-form-urlencoded2":                                 {urlencoded, false},
		"application/x-www-form-urlencoded; charset=latin1":                  {noForm, true},
		"application/x-www-form-urlencoded; charset=utf-7":                   {noForm, true},
		"application/x-www-form-urlencoded; charset":                         {noForm, true},
		"application/x-www-form-urlencoded x":                                {noForm, true},
		"text/plain,application/x-www-form-urlencoded":                       {noForm, true},
		"application/x-www-form-urlencoded, multipart/form-data; boundary=x": {noForm, true},
		"multipart/form-data; boundary=x":                                    {multipartForm, false},
		"multipart/mixed; boundary=x":                                        {multipartForm, false},
		`multipart/form-data; boundary="a,b:c"`:                              {multipartForm, false},
		"multipart/form-data":                                                {noForm, true},
		`multipart/form-data; boundary=""`:                                   {noForm, true},
		`multipart/form-data; boundary="a b"`:                                {noForm, true},
		`multipart/form-data; boundary="a;b"`:                                {noForm, true},
		`multipart/form-data; boundary="a\"b"`:                               {noForm, true},
		"multipart/form-data; boundary*=x":                                   {noForm, true},
		"multipart/form-data; boundary*0=x":                                  {noForm, true},
		"multipart/form-data; boundary=x; xboundary=y":                       {noForm, true},
		"multipart/form-data; boundary=" + strings.Repeat("x", 71):           {noForm, true},
		"multipart/form-data; charset=utf-16; boundary=x":                    {noForm, true},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
		r.Header.Set("Content-Type", contentType)
		kind, boundary, err := kindOf(r)
		if kind != want.kind || (err != nil) != want.err || (boundary != "") != (kind == multipartForm) {
			t.Errorf("%q: %d, %q, %v", contentType, kind, boundary, err)
		}
	}
	for _, encodings := range [][]string{{"gzip"}, {"identity, gzip"}, {"identity", "br"}, {"", "x"}} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
		r.Header["Content-Encoding"] = encodings
		if _, _, err := kindOf(r); err == nil {
			t.Errorf("Content-Encoding %q is taken", encodings)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		place Place
		says  string
	}{
		{Place{In: "body", Name: "x"}, `"body" is not where a token can stand`},
		{Place{In: Cookie}, "needs a name"},
		{Place{In: Cookie, Name: "x", Schemes: []string{"y"}}, "only a header has schemes"},
		{Place{In: Query, Name: "x", MaxSize: 1}, "only a form has a maximum size"},
		{Place{In: Form, Name: "x", MaxSize: -1}, "-1 bytes"},
		{Place{In: Header, Name: "a b"}, "not the name of a header field"},
		{Place{In: Header, Name: "a:b"}, "not the name of a header field"},
		{Place{In: Header, Name: "Authorization"}, "always looked at"},
	} {
		if _, err := New([]Place{test.place}, nil); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test.place, err)
		}
	}
}

// Where the store cannot answer, what the index suspects is refused, and
// everything else passes.
func TestUnavailable(t *testing.T) {
	list, store := denylist(t, dead)
	g := gate(t)
	store.mu.Lock()
	store.failing = fmt.Errorf("the disk is gone: %w", revocation.ErrCorrupt)
	store.mu.Unlock()
	// The cache may know the record still.
	cached, _ := denylist(t)
	_ = cached.Close()
	for what, test := range map[string]struct {
		list  *revocation.Denylist
		token string
		want  []Reason
	}{
		"revoked":                {list, dead, []Reason{Unavailable, Revoked}},
		"not revoked":            {list, "alive", []Reason{Passed}},
		"with a closed denylist": {cached, "alive", []Reason{Unavailable}},
	} {
		d := g.Check(test.list, nil, request(http.Header{"Authorization": {"Bearer " + test.token}}))
		if !slices.Contains(test.want, d.Reason) {
			t.Errorf("%s: %s", what, d.Reason)
		}
		if d.Err != nil && strings.Contains(d.Err.Error(), test.token) {
			t.Errorf("%s: the error shows the token: %v", what, d.Err)
		}
	}
	if (Decision{}).Reason == Passed {
		t.Error("a decision that nobody made lets pass")
	}
}

// Whatever a request of the size that servers take is made of, looking at it
// takes a time that grows with its size and not faster.
func TestWorkIsBounded(t *testing.T) {
	list, _ := denylist(t)
	g := gate(t, Place{In: Cookie, Name: "sid"}, Place{In: Header, Name: "X-Token", Schemes: []string{"Token"}}, Place{In: Form, Name: "access_token", MaxSize: 1 << 20})
	const size = 1 << 19 // quadratic work would be a minute's
	for _, piece := range []string{
		" ", "a ", "=", "= ", " =", "sid= ", "sid=a ", ",", "a,", ";", `"`, "'", "%", "\t", "[", ".", "x;", "&",
		"access_token=", "access_token[", "]=", "{", `{"a":`, "token=", "\xc2\xa0", "--x\r\n", "--x\r\n\r\na\r\n",
	} {
		long := strings.Repeat(piece, size/len(piece))
		query := request(http.Header{})
		query.URL.RawQuery = "access_token=" + long
		requests := []*http.Request{
			query,
			request(http.Header{"Cookie": {"sid=" + long}}),
			request(http.Header{"Authorization": {long}}),
			request(http.Header{"Authorization": {"Bearer " + long}}),
			request(http.Header{"X-Token": {long}}),
		}
		for contentType, body := range map[string]string{
			"application/x-www-form-urlencoded": long,
			"multipart/form-data; boundary=x":   "--x\r\nContent-Disposition: form-data; name=" + long + "\r\n\r\n" + long + "\r\n--x--",
		} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("Content-Type", contentType)
			requests = append(requests, r)
		}
		for i, r := range requests {
			began := time.Now()
			g.Check(list, httptest.NewRecorder(), r)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("request %d of %q took %s", i, piece, took)
			}
		}
	}
}

// Look refuses what is refused whoever is revoked, and nothing else; and says as
// much of a request as Check does.
func TestLook(t *testing.T) {
	g := gate(t, Place{In: Cookie, Name: "session"})
	list, _ := denylist(t, "17|revoked")
	for text, test := range map[string]struct {
		header         http.Header
		reason         Reason
		tokens, looked bool
	}{
		"nothing":             {http.Header{}, Passed, false, false},
		"a token":             {http.Header{"Authorization": {"Bearer 17|revoked"}}, Passed, true, true},
		"a cookie":            {http.Header{"Cookie": {"session=17|revoked"}}, Passed, true, true},
		"a scheme of its own": {http.Header{"Authorization": {"Other 17|other"}}, Passed, false, true},
		"two tokens":          {http.Header{"Authorization": {"Bearer a", "Bearer b"}}, Malformed, false, true},
	} {
		d := g.Look(httptest.NewRecorder(), request(test.header))
		if d.Reason != test.reason || d.Reason == Passed && (d.Tokens > 0 != test.tokens || d.Looked > 0 != test.looked) {
			t.Errorf("%s: %+v", text, d)
		}
		checked := g.Check(list, httptest.NewRecorder(), request(test.header))
		if d.Tokens != checked.Tokens || d.Scheme != checked.Scheme || checked.Reason != Revoked && (d.Reason != checked.Reason || d.Looked != checked.Looked) {
			t.Errorf("%s: Look says %+v, and Check %+v", text, d, checked)
		}
	}
}
