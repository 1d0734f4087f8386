package endpoint

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/relay"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// relayed is an endpoint with a real denylist and an authorization server, which
// answers as told and counts.
type relayed struct {
	*Endpoint
	t     *testing.T
	list  *revocation.Denylist
	store *failingStore
	asked atomic.Int64
	// answer is what the server does; nil is a success.
	answer http.HandlerFunc
}

// failingStore stores nothing while it is told to fail.
type failingStore struct {
	revocation.Store
	fails atomic.Bool
}

func (s *failingStore) Put(ctx context.Context, batch revocation.Batch) error {
	if s.fails.Load() {
		return revocation.ErrNotStored
	}
	return s.Store.Put(ctx, batch)
}

func newRelayed(t *testing.T, change ...func(*Config)) *relayed {
	t.Helper()
	s := &relayed{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if s.answer != nil {
			s.answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	file, err := boltstore.Open(t.Context(), filepath.Join(t.TempDir(), "denylist.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.store = &failingStore{Store: file}
	if s.list, err = revocation.Open(t.Context(), s.store, revocation.Options{CacheBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.list.Close() })
	c := Config{
		Clients: clients(t, Client{ID: "id", Secret: plain(t, "secret"), MaxRecords: 2}, Client{ID: "public"}),
		Retain:  time.Hour,
	}
	// Long enough for a server that is not silent.
	if c.Relay, err = relay.New(relay.Config{URL: server.URL, Timeout: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	for _, change := range change {
		change(&c)
	}
	if s.Endpoint, err = New(c); err != nil {
		t.Fatal(err)
	}
	return s
}

// newRelayedAsserting is newRelayed for a client that asserts who it is, and the forms in
// which it does so: always with the same assertion.
func newRelayedAsserting(t *testing.T) (s *relayed, form func(token string) string) {
	t.Helper()
	s = newRelayed(t, func(c *Config) {
		c.Clients = clients(t, Client{ID: "id", Secret: plain(t, longSecret), Methods: []Method{ClientSecretJWT}})
		c.Audiences = func(*http.Request) []string { return []string{accepted} }
	})
	assertion := must(jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "id", "sub": "id", "aud": accepted, "jti": "1", "exp": time.Now().Unix() + 60,
	}).SignedString([]byte(longSecret)))
	return s, func(token string) string {
		return url.Values{"token": {token}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}.Encode()
	}
}

func (s *relayed) serve(r *http.Request) (Outcome, *httptest.ResponseRecorder) {
	s.t.Helper()
	w := httptest.NewRecorder()
	return s.Serve(func(context.Context) (*revocation.Denylist, error) { return s.list, nil }, w, r), w
}

// revoked says whether a token is, and by whom.
func (s *relayed) revoked(presented string) (by string, revoked bool) {
	s.t.Helper()
	id := token.Identify(presented)
	verdict := s.list.Check(&id.Key)
	if verdict.Outcome != revocation.Revoked {
		return "", false
	}
	return verdict.Record.By, true
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func anonymous(form string) *http.Request {
	r := request(form)
	r.Header.Del("Authorization")
	return r
}

// anyhow is a request that a profile lets pass: fapi does not take the secret of
// a client, and leaves a stranger to the server.
func anyhow(p Profile) *http.Request {
	if p == ProfileFAPI {
		return anonymous("token=t")
	}
	return request("token=t")
}

// The server's success makes the record, and is the authentication of who is not
// a client here.
func TestRelayedClients(t *testing.T) {
	for _, test := range []struct {
		name    string
		request *http.Request
		by      string
	}{
		{"a client of this endpoint", request("token=t"), "id"},
		{"a public one", anonymous("token=t&client_id=public"), "public"},
		{"one by post", anonymous("token=t&client_id=theirs&client_secret=x"), "theirs"},
		{"one without secret", anonymous("token=t&client_id=theirs"), "theirs"},
		{"nobody", anonymous("token=t"), "relay"},
		{"an assertion", anonymous("token=t&client_assertion=x&client_assertion_type=y"), "relay"},
		{"one who says the token", anonymous("token=t&client_id=t"), "relay"},
		{"one who says it with a space", anonymous("token=+t&client_id=t%0A"), "relay"},
		{"one with a long name", anonymous("token=t&client_id=" + strings.Repeat("x", 2000)), strings.Repeat("x", revocation.MaxText)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newRelayed(t)
			s.answer = status(401, `{"error":"invalid_client"}`)
			again := test.request.Clone(t.Context())
			b, _ := io.ReadAll(test.request.Body)
			test.request.Body, again.Body = io.NopCloser(strings.NewReader(string(b))), io.NopCloser(strings.NewReader(string(b)))
			done, w := s.serve(test.request)
			if _, revoked := s.revoked("t"); revoked || w.Code != 401 || done.Error != "invalid_client" || test.by != "id" && test.by != "public" && done.Client != "" {
				t.Errorf("refused: %+v %d", done, w.Code)
			}
			s.answer = nil
			done, w = s.serve(again)
			if by, _ := s.revoked("t"); by != test.by || w.Code != 200 || w.Body.String() != "{}" || len(done.Records) != 1 {
				t.Errorf("accepted: %+v %d %s, by %.20s", done, w.Code, w.Body, by)
			}
			if s.asked.Load() != 2 {
				t.Errorf("the server was asked %d times", s.asked.Load())
			}
		})
	}
	s := newRelayed(t)
	r := request("token=t")
	r.SetBasicAuth("theirs", "x")
	if done, w := s.serve(r); done.Client != "theirs" || w.Code != 200 {
		t.Errorf("Basic: %+v", done)
	}
}

// A client that cannot authenticate in a profile is not a stranger for that.
func TestRelayedClientOfAnotherProfile(t *testing.T) {
	s := newRelayed(t, func(c *Config) { c.Profile = ProfileFAPI })
	for _, r := range []*http.Request{request("token=t"), anonymous("token=t&client_id=public"), anonymous("token=t&client_id=id&client_secret=secret")} {
		if _, w := s.serve(r); w.Code != 401 || s.asked.Load() != 0 {
			t.Errorf("%d, the server was asked %d times", w.Code, s.asked.Load())
		}
	}
}

// What can be refused here is: the server does not hear of it.
func TestRelayedRefusesFirst(t *testing.T) {
	judge := judgeFunc(func(presented string) (Facts, bool, error) {
		return Facts{Active: true, Client: "somebody"}, presented == "theirs", nil
	})
	s := newRelayed(t, func(c *Config) { c.Judge, c.RateLimit = judge, RateLimit{5, time.Hour} })
	s.answer = func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }
	wrong := request("token=t")
	wrong.SetBasicAuth("id", "wrong")
	for _, test := range []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"wrong secret", wrong, 401},
		{"wrong secret by post", anonymous("token=t&client_id=id&client_secret=wrong"), 401},
		{"no secret", anonymous("token=t&client_id=id"), 401},
		{"two methods", request("token=t&client_secret=x"), 400},
		{"two names", request("token=t&client_id=theirs"), 400},
		{"no token", anonymous("client_id=theirs"), 400},
		{"token twice", anonymous("token=a&token=b"), 400},
		{"ID token", request("token=eyJhbGciOiJSUzI1NiJ9.eyJhdF9oYXNoIjoidDBrZW4ifQ.x"), 400},
		{"token of another", request("token=theirs"), 400},
		{"token of another than the stranger", anonymous("token=theirs&client_id=other"), 400},
		{"token of another, publicly", anonymous("token=theirs&client_id=public"), 200},
	} {
		if done, w := s.serve(test.r); w.Code != test.status || len(done.Records) != 0 {
			t.Errorf("%s: %d %+v, want %d", test.name, w.Code, done, test.status)
		}
	}
	s.answer = nil
	for range 3 { // with the two above that are authenticated
		if done, w := s.serve(request("token=a")); w.Code != 200 {
			t.Fatalf("%+v", done)
		}
	}
	asked := s.asked.Load()
	if _, w := s.serve(request("token=a")); w.Code != 429 || s.asked.Load() != asked {
		t.Errorf("over the rate: %d, the server was asked %d times", w.Code, s.asked.Load()-asked)
	}
}

type judgeFunc func(presented string) (Facts, bool, error)

func (f judgeFunc) Judge(_ context.Context, presented string) (Facts, bool, error) {
	return f(presented)
}

// A judge says more about a token, but it is the server that decides.
func TestRelayedAndJudged(t *testing.T) {
	session := revocation.SessionKey("i", "s")
	for name, test := range map[string]struct {
		facts          Facts
		known          bool
		err            error
		token, session bool
	}{
		"known":      {Facts{Active: true, Client: "id", Issuer: "i", Session: "s", Refresh: true}, true, nil, true, true},
		"inactive":   {Facts{}, true, nil, false, false},
		"ended":      {Facts{Ended: true}, true, nil, true, false}, // perhaps in a request whose record was not stored
		"not known":  {Facts{}, false, nil, true, false},
		"no judging": {Facts{Active: true, Client: "x"}, true, errors.New("away"), true, false},
		"unclear":    {Facts{}, false, ErrUnclear, true, false},
	} {
		for _, profile := range []Profile{ProfileRFC7009, ProfileFAPI} {
			s := newRelayed(t, func(c *Config) {
				c.Profile = profile
				c.Judge = judgeFunc(func(string) (Facts, bool, error) { return test.facts, test.known, test.err })
			})
			done, w := s.serve(anyhow(profile))
			_, revoked := s.revoked("t")
			if w.Code >= 300 || !errors.Is(done.Err, test.err) || s.asked.Load() != 1 || revoked != test.token || (s.list.Check(&session).Outcome == revocation.Revoked) != test.session {
				t.Errorf("%s, %s: %d %+v, the server was asked %d times", name, profile, w.Code, done, s.asked.Load())
			}
		}
	}
}

// Where a whole session is to end, and nobody can say which, nothing is said to
// be done.
func TestRelayedSessionNotJudged(t *testing.T) {
	s := newRelayed(t, func(c *Config) {
		c.Profile = ProfileSession
		c.Judge = judgeFunc(func(string) (Facts, bool, error) { return Facts{}, false, errors.New("away") })
	})
	_, w := s.serve(anyhow(ProfileSession))
	if _, revoked := s.revoked("t"); w.Code != http.StatusServiceUnavailable || s.asked.Load() != 0 || revoked {
		t.Errorf("%d, the server was asked %d times", w.Code, s.asked.Load())
	}
}

// An assertion is used up when all is done, and not before: neither by the
// server's no, nor by a store that fails. Used up, it does not reach the server.
func TestRelayedAssertion(t *testing.T) {
	s, asserting := newRelayedAsserting(t)
	form := asserting("t")
	for i, step := range []struct {
		answer http.HandlerFunc
		fails  bool
		status int
		asked  int64
	}{
		{status(400, "{}"), false, 400, 1},
		{status(500, "{}"), false, 502, 2},
		{status(200, "{}"), true, 503, 3},
		{status(200, "{}"), false, 200, 4},
		{status(200, "{}"), false, 401, 4},
	} {
		s.answer = step.answer
		s.store.fails.Store(step.fails)
		done, w := s.serve(anonymous(form))
		if w.Code != step.status || s.asked.Load() != step.asked {
			t.Fatalf("step %d: %d %+v, the server was asked %d times; want %d, %d", i, w.Code, done, s.asked.Load(), step.status, step.asked)
		}
		if _, revoked := s.revoked("t"); revoked != (i >= 3) {
			t.Errorf("step %d: revoked is %t", i, revoked)
		}
	}
	if share := s.list.Share("id"); share.Records != 1 {
		t.Errorf("%+v", share)
	}
}

// An assertion that is on its way to the server takes no other request there.
func TestRelayedAssertionTwice(t *testing.T) {
	s, asserting := newRelayedAsserting(t)
	send := func(token string) int {
		_, w := s.serve(anonymous(asserting(token)))
		return w.Code
	}
	beside := 0
	s.answer = func(http.ResponseWriter, *http.Request) {
		if s.asked.Load() == 1 {
			beside = send("u")
		}
	}
	if code := send("t"); code != http.StatusOK || beside != http.StatusUnauthorized || s.asked.Load() != 1 {
		t.Errorf("%d, and %d beside it; the server was asked %d times", code, beside, s.asked.Load())
	}
	if _, revoked := s.revoked("u"); revoked {
		t.Error("refused, and revoked")
	}
}
