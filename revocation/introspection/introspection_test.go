package introspection

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
)

const secretToken = "s3cret-t0ken"

// asking is an introspection of an authorization server that answers as told.
func asking(t *testing.T, answer http.HandlerFunc) *Introspection {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	i, err := New(Config{URL: server.URL + "/introspect?a=b", ClientID: "gate way", ClientSecret: "s:e+c&r%t"})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// saying answers with a text of a type.
func saying(mediaType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		_, _ = fmt.Fprint(w, text)
	}
}

// The question is that of RFC 7662 §2.1, with credentials as RFC 6749 §2.3.1 has
// them.
func TestQuestion(t *testing.T) {
	i := asking(t, func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.RequestURI() != "/introspect?a=b" ||
			id != "gate+way" || secret != "s%3Ae%2Bc%26r%25t" || r.Header.Get("Accept") != "application/json" ||
			len(r.PostForm) != 1 || r.PostForm.Get("token") != "a+b/c=&d" {
			t.Errorf("%v %s %s %v %v", err, r.Method, r.URL, r.Header, r.PostForm)
		}
		saying("application/json;charset=UTF-8", `{"active":false}`)(w, r)
	})
	if facts, known, err := i.Judge(t.Context(), "a+b/c=&d"); err != nil || !known || facts.Active {
		t.Errorf("%+v %t %v", facts, known, err)
	}
}

func TestAnswers(t *testing.T) {
	type facts = endpoint.Facts
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	for answer, want := range map[string]endpoint.Facts{
		`{"active":false}`: {Ended: true},
		`{"active":false,"client_id":"a","iss":"i","sid":"s"}`: {Ended: true},
		`{"active":true}`: {Active: true},
		` {"active":true,"client_id":null,"exp":null,"x":[{}]} `: {Active: true},
		`{"active":true,"client_id":"a","iss":"i","sid":"s","exp":1700000000,"token_type":"Bearer"}`: {
			Active: true, Client: "a", Issuer: "i", Session: "s", Expires: at(1700000000)},
		`{"active":true,"Client_id":"a","ISS":"i"}`:                                             {Active: true},
		`{"active":true,"exp":1700000000.25}`:                                                   facts{Active: true, Expires: at(1700000001)},
		`{"active":true,"exp":1e300}`:                                                           {Active: true, Expires: at(253402300799)},
		`{"active":true,"exp":0}`:                                                               {Active: true},
		`{"active":true,"token_use":"refresh_token"}`:                                           {Active: true, Refresh: true},
		`{"active":true,"token_type":"Refresh"}`:                                                {Active: true, Refresh: true},
		`{"active":true,"typ":"Refresh"}`:                                                       {Active: true, Refresh: true},
		`{"active":true,"token_type":"urn:ietf:params:oauth:token-type:refresh_token","x":"y"}`: {Active: true, Refresh: true},
		`{"active":true,"token_use":"access_token","scope":"refresh_token"}`:                    {Active: true},
	} {
		got, known, err := asking(t, saying("application/json", answer)).Judge(t.Context(), secretToken)
		if err != nil || !known || !got.Expires.Equal(want.Expires) {
			t.Errorf("%s: %+v %t %v", answer, got, known, err)
		}
		got.Expires, want.Expires = time.Time{}, time.Time{}
		if got != want {
			t.Errorf("%s: %+v, want %+v", answer, got, want)
		}
	}
}

// What an active token says of its own kind counts; a hint is not even sent.
func TestRefreshByItself(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	of := func(header, payload string) string {
		return encode([]byte(header)) + "." + encode([]byte(payload)) + ".eA"
	}
	for token, want := range map[string]bool{
		of(`{"alg":"RS256","typ":"rt+jwt"}`, `{}`):             true,
		of(`{"alg":"RS256","typ":"application/RT+JWT"}`, `{}`): true,
		of(`{"alg":"HS512"}`, `{"typ":"Refresh"}`):             true,
		of(`{"alg":"RS256","typ":"JWT"}`, `{"typ":"Bearer"}`):  false,
		"opaque-rt+jwt": false,
	} {
		facts, _, err := asking(t, saying("application/json", `{"active":true}`)).Judge(t.Context(), token)
		if err != nil || facts.Refresh != want {
			t.Errorf("%s: %+v %v", token, facts, err)
		}
		facts, _, err = asking(t, saying("application/json", `{"active":false}`)).Judge(t.Context(), token)
		if err != nil || facts != (endpoint.Facts{Ended: true}) {
			t.Errorf("%s, not active: %+v %v", token, facts, err)
		}
	}
}

// What is no answer decides nothing, and errors do not tell what was asked.
func TestNoAnswer(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = fmt.Fprint(w, `{"active":false,"token":"`+secretToken+`"}`)
		}
	}
	json := func(text string) http.HandlerFunc { return saying("application/json", text) }
	for name, handler := range map[string]http.HandlerFunc{
		"201": status(201), "204": status(204), "400": status(400), "401": status(401), "403": status(403),
		"404": status(404), "429": status(429), "500": status(500), "503": status(503),
		"HTML":                saying("text/html", `{"active":true}`),
		"JWT":                 saying("application/token-introspection+jwt", `{"active":true}`),
		"no type":             saying("", `{"active":true}`),
		"nothing":             json(``),
		"null":                json(`null`),
		"list":                json(`[{"active":true}]`),
		"no active":           json(`{"Active":true}`),
		"active null":         json(`{"active":null}`),
		"active as text":      json(`{"active":"false"}`),
		"active as number":    json(`{"active":0}`),
		"active twice":        json(`{"active":true,"active":false}`),
		"client_id twice":     json(`{"active":true,"client_id":"a","client_id":"b"}`),
		"client_id as number": json(`{"active":true,"client_id":1}`),
		"client_id as list":   json(`{"active":true,"client_id":["a"]}`),
		"exp as text":         json(`{"active":true,"exp":"1"}`),
		"exp out of range":    json(`{"active":true,"exp":1e400}`),
		"sid as object":       json(`{"active":true,"sid":{}}`),
		"half":                json(`{"active":true`),
		"two":                 json(`{"active":false}{"active":true}`),
		"the token":           json(secretToken),
		"too large":           json(`{"active":false,"x":"` + strings.Repeat("x", maxAnswer) + `"}`),
		"too large, of space": json(`{"active":true}` + strings.Repeat(" ", maxAnswer)),
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = fmt.Fprint(w, `{"active":true}`)
		},
		"a status that is none": func(w http.ResponseWriter, _ *http.Request) { raw(w, "HTTP/1.1 "+secretToken+"\r\n\r\n") },
		"a header that is none": func(w http.ResponseWriter, _ *http.Request) { raw(w, "HTTP/1.1 200 OK\r\n"+secretToken+"\r\n\r\n") },
		"the line of a token":   func(w http.ResponseWriter, _ *http.Request) { raw(w, secretToken+"\r\n\r\n") },
		"nothing at all":        func(w http.ResponseWriter, _ *http.Request) { raw(w, "") },
	} {
		facts, known, err := asking(t, handler).Judge(t.Context(), secretToken)
		if err == nil || known || facts != (endpoint.Facts{}) {
			t.Errorf("%s: %+v %t %v", name, facts, known, err)
		} else if strings.Contains(err.Error(), secretToken) {
			t.Errorf("%s: the error tells the token: %v", name, err)
		}
	}
}

// Some servers answer no questions about JWTs, and never will.
func TestUnsupported(t *testing.T) {
	refusing := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, `{"error":"unsupported_token_type","error_description":"JWTs cannot be introspected"}`)
	}
	if _, known, err := asking(t, refusing).Judge(t.Context(), secretToken); known || !errors.Is(err, endpoint.ErrUnsupported) {
		t.Errorf("%t %v", known, err)
	}
}

// raw answers with bytes that net/http would not.
func raw(w http.ResponseWriter, answer string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = conn.Write([]byte(answer))
	_ = conn.Close()
}

// A redirect would take the token, and perhaps the credentials, elsewhere.
func TestNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("reached by %s with %v", r.Method, r.Header)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		i := asking(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		if _, _, err := i.Judge(t.Context(), secretToken); !errors.Is(err, ErrAnswer) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// A server that hangs holds no more than so many questions, and not for long.
func TestHangingServer(t *testing.T) {
	reached, release := make(chan struct{}, maxAsking), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		<-release
		saying("application/json", `{"active":true}`)(w, r)
	}))
	defer server.Close()
	i, err := New(Config{URL: server.URL, ClientID: "a", ClientSecret: "b", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range maxAsking {
		wg.Go(func() {
			if facts, _, err := i.Judge(t.Context(), secretToken); err != nil || !facts.Active {
				t.Errorf("%+v %v", facts, err)
			}
		})
	}
	for range maxAsking {
		<-reached
	}
	if _, _, err := i.Judge(t.Context(), secretToken); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	close(release)
	wg.Wait()
	if facts, _, err := i.Judge(t.Context(), secretToken); err != nil || !facts.Active {
		t.Errorf("afterwards: %+v %v", facts, err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	i, err := New(Config{URL: server.URL, ClientID: "a", ClientSecret: "b", Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, known, err := i.Judge(t.Context(), secretToken); err == nil || known || strings.Contains(err.Error(), secretToken) {
		t.Errorf("%t %v", known, err)
	}
}

func TestNewMistakes(t *testing.T) {
	for _, c := range []Config{
		{},
		{URL: "https://a", ClientID: "a"},
		{URL: "https://a", ClientSecret: "a"},
		{URL: "a", ClientID: "a", ClientSecret: "b"},
		{URL: "ftp://a", ClientID: "a", ClientSecret: "b"},
		{URL: "https://", ClientID: "a", ClientSecret: "b"},
		{URL: "https://a:b@c", ClientID: "a", ClientSecret: "b"},
		{URL: "https://c#d", ClientID: "a", ClientSecret: "b"},
		{URL: "https://c\n", ClientID: "a", ClientSecret: "b"},
		{URL: "https://a", ClientID: "a", ClientSecret: "b", Timeout: -1},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	i, err := New(Config{URL: "https://a", ClientID: "a", ClientSecret: "b"})
	if err != nil || i.timeout != DefaultTimeout {
		t.Errorf("%v %v", i, err)
	}
}
