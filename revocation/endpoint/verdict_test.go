package endpoint

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

// saying is a judge who always says the same, and what he was asked.
type saying struct {
	facts Facts
	known bool
	err   error
	asked []string
}

func (s *saying) Judge(_ context.Context, presented string) (Facts, bool, error) {
	s.asked = append(s.asked, presented)
	return s.facts, s.known, s.err
}

func jws(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + ".c2ln"
}

var noon = time.Unix(1_700_000_000, 0)

func judgedBy(t *testing.T, j Judge, scope Scope) (*Endpoint, map[string]*Client) {
	t.Helper()
	secret, err := PlainSecret("secret")
	if err != nil {
		t.Fatal(err)
	}
	all := clients(t, Client{ID: "id", Secret: secret}, Client{ID: "public"})
	e, err := New(Config{Clients: all, Retain: time.Hour, Judge: j, Revoke: scope, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return e, all.byID
}

// No record ends earlier than the last who might accept the token.
func TestEndOfRecord(t *testing.T) {
	const retain, day = time.Hour, 24 * time.Hour
	exp := func(d time.Duration) string {
		return jws(`{"alg":"RS256"}`, fmt.Sprintf(`{"exp":%d}`, noon.Add(d).Unix()))
	}
	noExp, textExp := jws(`{"alg":"RS256"}`, `{}`), jws(`{"alg":"RS256"}`, fmt.Sprintf(`{"exp":"%d"}`, noon.Add(day).Unix()))
	noClaims := jws(`{"alg":"RS256"}`, `no JSON`)
	stated := func(d time.Duration) *Facts { return &Facts{Active: true, Expires: noon.Add(d)} }
	for name, test := range map[string]struct {
		token string
		facts *Facts // nil is nobody
		want  time.Duration
	}{
		"opaque":                               {"opaque", nil, retain},
		"JWT":                                  {exp(time.Minute), nil, time.Minute},
		"JWT that ends later than retain":      {exp(day), nil, day},
		"JWT without end":                      {noExp, nil, retain},
		"JWT whose end not all read":           {textExp, nil, day},
		"JWT that has ended":                   {exp(-day), nil, -day},
		"opaque, stated":                       {"opaque", stated(time.Minute), time.Minute},
		"opaque, stated later":                 {"opaque", stated(day), day},
		"opaque, no end stated":                {"opaque", &Facts{Active: true}, retain},
		"opaque, past and active":              {"opaque", stated(-day), retain},
		"opaque, now and active":               {"opaque", stated(0), retain},
		"no claims, stated":                    {noClaims, stated(time.Minute), time.Minute},
		"JWT, stated sooner":                   {exp(day), stated(time.Minute), day},
		"JWT, stated later":                    {exp(time.Minute), stated(day), day},
		"JWT, no end stated":                   {exp(time.Minute), &Facts{Active: true}, time.Minute},
		"JWT that has ended, and active":       {exp(-day), &Facts{Active: true}, retain},
		"JWT that has ended, stated later":     {exp(-day), stated(day), day},
		"JWT without end, stated sooner":       {noExp, stated(time.Minute), retain},
		"JWT without end, stated later":        {noExp, stated(day), day},
		"JWT whose end not all read, stated":   {textExp, stated(time.Minute), day},
		"JWT whose end not all read, and past": {textExp, stated(-day), day},
	} {
		var judge Judge
		if test.facts != nil {
			judge = &saying{facts: *test.facts, known: true}
		}
		e, clients := judgedBy(t, judge, "")
		v, refused := e.decide(t.Context(), clients["id"], test.token)
		if refused != nil || len(v.records) != 1 || !v.records[0].Expires.Equal(noon.Add(test.want)) {
			t.Errorf("%s: %+v %v, want the end %s", name, v, refused, test.want)
		}
	}
}

// A session is revoked only if somebody who knows says which it is.
func TestSessionOfRecord(t *testing.T) {
	own := jws(`{"alg":"RS256","typ":"rt+jwt"}`, fmt.Sprintf(`{"iss":"i","sid":"s","exp":%d}`, noon.Add(2*time.Hour).Unix()))
	facts := Facts{Active: true, Client: "id", Issuer: "i", Session: "s"}
	change := func(f func(*Facts)) *Facts {
		other := facts
		f(&other)
		return &other
	}
	for name, test := range map[string]struct {
		scope Scope
		facts *Facts
		dies  bool
	}{
		"session":           {ScopeSession, &facts, true},
		"token":             {ScopeToken, &facts, false},
		"refresh":           {ScopeToken, change(func(f *Facts) { f.Refresh = true }), true},
		"nobody knows":      {ScopeSession, nil, false},
		"no session":        {ScopeSession, change(func(f *Facts) { f.Session = "" }), false},
		"no issuer":         {ScopeSession, change(func(f *Facts) { f.Issuer = "" }), false},
		"no client":         {ScopeSession, change(func(f *Facts) { f.Client = "" }), true},
		"of another client": {ScopeSession, change(func(f *Facts) { f.Client = "public" }), false},
		"not active":        {ScopeSession, change(func(f *Facts) { f.Active = false }), false},
	} {
		judge := &saying{}
		if test.facts != nil {
			judge.facts, judge.known = *test.facts, true
		}
		e, clients := judgedBy(t, judge, test.scope)
		v, _ := e.decide(t.Context(), clients["id"], own)
		var sessions []revocation.Record
		for _, r := range v.records {
			if r.Key.Kind == revocation.KindSession {
				sessions = append(sessions, r)
			}
		}
		if test.dies != (len(sessions) == 1) {
			t.Errorf("%s: %+v", name, v)
		}
		// Its tokens are accepted no longer than retain, or the token itself is.
		if test.dies && (sessions[0].Key != revocation.SessionKey("i", "s") || !sessions[0].Expires.Equal(noon.Add(2*time.Hour)) || len(v.records) != 2) {
			t.Errorf("%s: %+v", name, v.records)
		}
	}
}

// A record says whose token it is, to the operators who list it, if that is
// known and no longer than a record may be.
func TestIssuerOfRecords(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://i": "https://i", "": "",
		strings.Repeat("i", revocation.MaxText): strings.Repeat("i", revocation.MaxText), strings.Repeat("i", revocation.MaxText+1): "",
	} {
		e, clients := judgedBy(t, &saying{known: true, facts: Facts{Active: true, Client: "id", Issuer: issuer, Session: "s"}}, ScopeSession)
		v, _ := e.decide(t.Context(), clients["id"], "t")
		for _, r := range v.records {
			if r.Issuer != want || r.Value != "" {
				t.Errorf("%d bytes: %+v", len(issuer), r)
			}
		}
		if records := min(len(issuer), 1) + 1; len(v.records) != records {
			t.Errorf("%d bytes: %+v", len(issuer), v.records)
		}
	}
}

func TestDecide(t *testing.T) {
	id := jws(`{"alg":"RS256"}`, `{"aud":["x","id"],"sub":"me"}`)
	for name, test := range map[string]struct {
		judge  Judge
		client string
		token  string
		status int // 0 is success
		lives  bool
	}{
		"nobody knows":             {&saying{}, "id", "t", 0, false},
		"not active":               {&saying{known: true}, "id", "t", 0, true},
		"not known, and a client":  {&saying{facts: Facts{Active: true, Client: "x"}}, "id", "t", 0, false},
		"its own":                  {&saying{known: true, facts: Facts{Active: true, Client: "id"}}, "id", "t", 0, false},
		"nobody's":                 {&saying{known: true, facts: Facts{Active: true}}, "public", "t", 0, false},
		"another's":                {&saying{known: true, facts: Facts{Active: true, Client: "public"}}, "id", "t", 400, true},
		"another's, and public":    {&saying{known: true, facts: Facts{Active: true, Client: "id"}}, "public", "t", 0, true},
		"not active, and a client": {&saying{known: true, facts: Facts{Client: "x"}}, "id", "t", 0, true},
		"away":                     {&saying{err: errors.New("away")}, "id", "t", 503, true},
		"away, and known":          {&saying{known: true, err: errors.New("away")}, "id", "t", 503, true},
		"unclear":                  {&saying{err: fmt.Errorf("why: %w", ErrUnclear)}, "id", "t", 400, true},
		"unsupported":              {&saying{err: fmt.Errorf("why: %w", ErrUnsupported)}, "id", "t", 400, true},
		"ended":                    {&saying{known: true, facts: Facts{Ended: true}}, "id", "t", 0, true},
		"for a client, unverified": {&saying{}, "id", id, 0, false},
		"for a client":             {&saying{known: true, facts: Facts{Active: true}}, "id", id, 400, true},
		"for a client, forged":     {&saying{known: true}, "id", id, 0, true},
	} {
		e, clients := judgedBy(t, test.judge, "")
		v, refused := e.decide(t.Context(), clients[test.client], test.token)
		status := 0
		if refused != nil {
			status = refused.status
		}
		if status != test.status || (len(v.records) == 0) != test.lives {
			t.Errorf("%s: %+v %+v", name, v, refused)
		}
	}
}

// Who decides, and about what he is asked.
func TestJudges(t *testing.T) {
	of := func(payload string) string { return jws(`{"alg":"RS256"}`, payload) }
	const mine, other = `{"iss":"mine"}`, `{"iss":"other"}`
	jwe := "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aXY.dGV4dA.dGFn"
	for name, test := range map[string]struct {
		presented      string
		issuers, asks  bool   // which there are
		decides        string // issuer, introspection, possession or nobody
		about          string
		issuerKnowsNot bool
	}{
		"of the issuer":                 {of(mine), true, true, "issuer", of(mine), false},
		"of the issuer, alone":          {of(mine), true, false, "issuer", of(mine), false},
		"of the issuer, disguised":      {" " + of(mine) + "\n", true, true, "issuer", of(mine), false},
		"two issuers":                   {of(`{"iss":"other","iss":"mine"}`), true, true, "issuer", of(`{"iss":"other","iss":"mine"}`), false},
		"one that only the issuer does": {of(mine), true, true, "introspection", of(mine), true},
		"the same, alone":               {of(mine), true, false, "nobody", "", true},
		"of another":                    {of(other), true, true, "introspection", of(other), false},
		"of another, alone":             {of(other), true, false, "nobody", "", false},
		"of another case":               {of(`{"iss":"Mine"}`), true, false, "nobody", "", false},
		"of nobody":                     {of(`{}`), true, false, "nobody", "", false},
		"of a list":                     {of(`{"iss":["mine"]}`), true, false, "nobody", "", false},
		"not JSON":                      {of(`x`), true, false, "nobody", "", false},
		"opaque":                        {" opaque ", true, true, "introspection", "opaque", false},
		"opaque, alone":                 {"opaque", true, false, "possession", "", false},
		"encrypted":                     {jwe, true, true, "introspection", jwe, false},
		"encrypted, alone":              {jwe, true, false, "possession", "", false},
		"no issuers":                    {of(other), false, true, "introspection", of(other), false},
		"none at all":                   {of(other), false, false, "possession", "", false},
	} {
		issuer := &saying{known: !test.issuerKnowsNot, facts: Facts{Active: !test.issuerKnowsNot, Client: "issuer"}}
		asked := &saying{known: true, facts: Facts{Active: true, Client: "introspection"}}
		j := Judges{}
		if test.issuers {
			j.Issuers = map[string]Judge{"mine": issuer}
		}
		if test.asks {
			j.Introspection = asked
		}
		facts, known, err := j.Judge(t.Context(), test.presented)
		decided := facts.Client
		switch {
		case !known:
			decided = "possession"
		case !facts.Active:
			decided = "nobody"
		}
		if err != nil || decided != test.decides {
			t.Errorf("%s: %+v %t %v", name, facts, known, err)
		}
		for _, asked := range append(issuer.asked, asked.asked...) {
			if asked != test.about && !test.issuerKnowsNot {
				t.Errorf("%s: asked about %q", name, asked)
			}
		}
	}
	parts := strings.Split(of(mine), ".")
	serialized := `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`
	if token.Identify(serialized).Key != token.Identify(of(mine)).Key {
		t.Fatal("not the same token")
	}
	judge := &saying{known: true}
	if _, _, err := (Judges{Issuers: map[string]Judge{"mine": judge}, Introspection: judge}).Judge(t.Context(), serialized); !errors.Is(err, ErrUnclear) || len(judge.asked) > 0 {
		t.Errorf("in JSON: %v, asked %q", err, judge.asked)
	}
	away := errors.New("away")
	if _, _, err := (Judges{Issuers: map[string]Judge{"mine": &saying{err: away}}, Introspection: judge}).Judge(t.Context(), of(mine)); !errors.Is(err, away) || len(judge.asked) > 0 {
		t.Errorf("an issuer away: %v, asked %q", err, judge.asked)
	}
}
