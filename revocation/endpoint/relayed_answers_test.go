package endpoint

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// Of a server that does not answer like one, each profile says what it has to.
func TestRelayedFailures(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the client is gone
		<-r.Context().Done()
	}
	for _, test := range []struct {
		profile Profile
		answer  http.HandlerFunc
		status  int
	}{
		{ProfileRFC7009, status(500, ""), 502},
		{ProfileRFC7009, status(302, ""), 502},
		{ProfileFAPI, status(503, ""), 502},
		{ProfileRFC7009, silent, 503},
		{ProfileSession, silent, 503},
		{ProfileJSON, silent, 504},
		{ProfileFAPI, silent, 504},
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel() // as some wait for their time to be up
			s := newRelayed(t, func(c *Config) { c.Profile = test.profile })
			s.answer = test.answer
			done, w := s.serve(anyhow(test.profile))
			if w.Code != test.status || done.Status != test.status || done.Err == nil || done.Error == "" || len(done.Records) != 0 {
				t.Errorf("%s: %d %+v, want %d", test.profile, w.Code, done, test.status)
			}
			if (w.Header().Get("Retry-After") != "") != (test.status == 503) {
				t.Errorf("%s: %v", test.profile, w.Header())
			}
			if _, revoked := s.revoked("t"); revoked {
				t.Errorf("%s: a record was made", test.profile)
			}
		})
	}
}

// The server's refusal is the client's answer, under what this endpoint says of
// every answer.
func TestRelayedRefusal(t *testing.T) {
	s := newRelayed(t, func(c *Config) { c.Profile = ProfileFAPI })
	const body = `{"error":"s3cret"} `
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{
			"Content-Type": "application/problem+json", "WWW-Authenticate": "DPoP x", "Retry-After": "7",
			"DPoP-Nonce": "n", "X-Fapi-Interaction-Id": "theirs", "Cache-Control": "public", "Set-Cookie": "a=b", "Server": "x",
		} {
			w.Header().Set(name, value)
		}
		status(429, body)(w, nil)
	}
	done, w := s.serve(anyhow(ProfileFAPI))
	h := w.Header()
	if w.Code != 429 || w.Body.String() != body || done.Error != "relayed" || done.Err != nil || done.Status != 429 {
		t.Errorf("%d %q %+v", w.Code, w.Body, done)
	}
	if h.Get("Content-Type") != "application/problem+json" || h.Get("Www-Authenticate") != "DPoP x" || h.Get("Retry-After") != "7" || h.Get("Dpop-Nonce") != "n" {
		t.Error(h)
	}
	if h.Get("Cache-Control") != "no-store" || !isUUID(h.Get(interactionID)) || h["Set-Cookie"] != nil || h["Server"] != nil {
		t.Error(h)
	}
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		status(400, "<html>")(w, nil)
	}
	if _, w := s.serve(anyhow(ProfileFAPI)); w.Header().Get("Content-Type") != "" {
		t.Errorf("the type was guessed: %v", w.Header())
	}
}

// Guessing at the server is guessing.
func TestRelayedFailuresOfAnAddress(t *testing.T) {
	for _, answer := range []http.HandlerFunc{status(401, ""), status(400, `{"error":"invalid_client"}`)} {
		s := newRelayed(t)
		s.answer = answer
		for range failureBurst {
			_, _ = s.serve(anonymous("token=t&client_id=theirs&client_secret=x"))
		}
		if _, w := s.serve(anonymous("token=t&client_id=theirs&client_secret=x")); w.Code != 429 || s.asked.Load() != failureBurst {
			t.Errorf("%d, the server was asked %d times", w.Code, s.asked.Load())
		}
	}
}

// A stranger has one rate, whatever names it takes.
func TestRelayedRateOfAStranger(t *testing.T) {
	s := newRelayed(t, func(c *Config) { c.RateLimit = RateLimit{3, time.Hour} })
	for i, want := range []int{200, 200, 200, 429, 429} {
		if _, w := s.serve(anonymous("token=t&client_id=" + strings.Repeat("x", i+1))); w.Code != want {
			t.Errorf("%d: %d", i, w.Code)
		}
	}
	if _, w := s.serve(anonymous("token=t&client_id=public")); w.Code != 200 {
		t.Error(w.Code)
	}
}

// What the server did and the store did not is tried again.
func TestRelayedAndNotStored(t *testing.T) {
	s := newRelayed(t)
	s.store.fails.Store(true)
	done, w := s.serve(request("token=t"))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || len(done.Records) != 0 || s.asked.Load() != 1 {
		t.Errorf("%d %+v", w.Code, done)
	}
	s.store.fails.Store(false)
	if _, w := s.serve(request("token=t")); w.Code != 200 || s.asked.Load() != 2 {
		t.Errorf("the second time: %d", w.Code)
	}
	if _, revoked := s.revoked("t"); !revoked {
		t.Error("the token lives on")
	}
}

// What was known before the server revoked the token, the server does not know any
// more when the client tries again; the session dies all the same.
func TestRelayedSessionOfSecondTry(t *testing.T) {
	session := revocation.SessionKey("i", "s")
	for name, fail := range map[string]func(*relayed, bool){
		"not stored": func(s *relayed, now bool) { s.store.fails.Store(now) },
		"not answered": func(s *relayed, now bool) {
			if s.answer = nil; now {
				s.answer = status(http.StatusBadGateway, "")
			}
		},
	} {
		facts := Facts{Active: true, Client: "id", Issuer: "i", Session: "s", Refresh: true}
		s := newRelayed(t, func(c *Config) {
			c.Clients = clients(t, Client{ID: "id", Secret: plain(t, "secret")}, Client{ID: "public"})
			c.Judge = judgeFunc(func(string) (Facts, bool, error) { return facts, true, nil })
		})
		send := func(r *http.Request, want int, ended bool) {
			t.Helper()
			if _, w := s.serve(r); w.Code != want || (s.list.Check(&session).Outcome == revocation.Revoked) != ended {
				t.Errorf("%s: %d, want %d; the session is to have ended: %t", name, w.Code, want, ended)
			}
		}
		fail(s, true)
		_, w := s.serve(request("token=t"))
		if w.Code < 500 {
			t.Fatalf("%s: %d", name, w.Code)
		}
		facts = Facts{Ended: true}
		fail(s, false)
		send(request("token=u"), http.StatusOK, false)
		send(anonymous("token=t&client_id=public"), http.StatusOK, false)
		send(anonymous("token=t&client_id=stranger"), http.StatusOK, false)
		send(request("token=t"), http.StatusOK, true)
	}
}
