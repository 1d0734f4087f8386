package tests

import (
	"net/http"
	"strings"
	"testing"
)

// Scripts of a client's registered origins can call the endpoint and read its
// answers; those of other origins cannot.
func TestCORS(t *testing.T) {
	up := newUpstream(t)
	c := start(t, strings.Replace(endpointSite, "client webapp", `
		client webapp {
			auth none
			origin https://app.example.com http://localhost:3000
		}
		client other {
			origin https://other.example.com
		}
	`, 1), up)
	const (
		own     = "https://app.example.com"
		own2    = "http://localhost:3000"
		other   = "https://other.example.com"
		foreign = "https://evil.example.com"
	)
	preflight := func(origin, method, headers string) answer {
		return c.send(t, up, revocationRequest{method: http.MethodOptions, noBody: true, header: http.Header{
			"Authorization": nil, "Content-Type": nil, "Origin": {origin},
			"Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": {headers},
		}})
	}
	for _, origin := range []string{own, own2, other} {
		t.Run("preflight of "+origin, func(t *testing.T) {
			a := preflight(origin, "POST", "authorization,content-type")
			if a.status != http.StatusNoContent || a.body != "" {
				t.Errorf("%d %q", a.status, a.body)
			}
			for name, want := range map[string]string{
				"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Authorization, *",
				"Access-Control-Max-Age": "600", "Access-Control-Allow-Credentials": "", "Vary": "Origin", "Allow": "POST, OPTIONS", "Cache-Control": "no-store",
			} {
				if got := strings.Join(a.header.Values(name), "|"); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	for _, origin := range []string{
		foreign, "null", "", "*", "https://app.example.com.evil.example", "http://app.example.com", "https://app.example.com:443",
		"https://app.example.com/", "HTTPS://APP.EXAMPLE.COM", own + ", " + foreign, "https://evil.example/https://app.example.com",
	} {
		t.Run("preflight of "+origin, func(t *testing.T) {
			a := preflight(origin, "POST", "authorization")
			if a.status != http.StatusNoContent || len(allowed(a)) != 0 || a.header.Get("Vary") != "Origin" {
				t.Errorf("%d %v", a.status, a.header)
			}
		})
	}

	webapp := func(body string) revocationRequest {
		return revocationRequest{body: body + "&client_id=webapp", header: without("Authorization"), token: newToken()}
	}
	good, bad := webapp("token=TOKEN"), webapp("x=y")
	stranger := webapp("token=TOKEN")
	stranger.body = "token=TOKEN&client_id=nobody"
	wrongType := webapp("token=TOKEN")
	wrongType.header["Content-Type"] = []string{"application/json"}
	wrongMethod := webapp("token=TOKEN")
	wrongMethod.method = http.MethodDelete
	for _, test := range []struct {
		name     string
		request  revocationRequest
		want     wanted
		origin   string
		readable bool
	}{
		{"own", good, success, own, true},
		{"own, the second", good, success, own2, true},
		{"of another client", good, success, other, false},
		{"foreign", good, success, foreign, false},
		{"null", good, success, "null", false},
		{"none", good, success, "", false},
		{"own, bad request", bad, invalidRequest, own, true},
		{"of another client, bad request", bad, invalidRequest, other, false},
		{"foreign, bad request", bad, invalidRequest, foreign, false},
		// Before it is known whose request it is, any registered origin will do.
		{"own, unknown client", stranger, invalidClient, own, true},
		{"of another client, unknown client", stranger, invalidClient, other, true},
		{"foreign, unknown client", stranger, invalidClient, foreign, false},
		{"own, wrong type", wrongType, unsupported, own, true},
		{"foreign, wrong type", wrongType, unsupported, foreign, false},
		{"own, wrong method", wrongMethod, badMethod, own, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.request
			r.token = newToken()
			r.header = r.header.Clone()
			r.header["Authorization"] = nil
			r.header.Set("Origin", test.origin)
			a := c.send(t, up, r)
			test.want.check(t, r.method, a)
			if a.header.Get("Vary") != "Origin" {
				t.Errorf("Vary: %q", a.header.Get("Vary"))
			}
			if !test.readable {
				if list := allowed(a); len(list) != 0 {
					t.Errorf("readable: %v", list)
				}
				return
			}
			if got := a.header.Get("Access-Control-Allow-Origin"); got != test.origin {
				t.Errorf("Access-Control-Allow-Origin: %q", got)
			}
			if got := a.header.Get("Access-Control-Expose-Headers"); got != "Retry-After, WWW-Authenticate" {
				t.Errorf("Access-Control-Expose-Headers: %q", got)
			}
		})
	}
}

// allowed are the fields of an answer that would let a script in.
func allowed(a answer) (list []string) {
	for name, values := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			list = append(list, name+": "+strings.Join(values, "|"))
		}
	}
	return list
}

// Without registered origins nothing is said about any.
func TestCORSWithoutOrigins(t *testing.T) {
	up := newUpstream(t)
	c := start(t, endpointSite, up)
	for _, method := range []string{http.MethodOptions, http.MethodPost} {
		a := c.send(t, up, revocationRequest{method: method, token: newToken(), header: fields("Origin", "https://app.example.com", "Access-Control-Request-Method", "POST")})
		if list := allowed(a); len(list) != 0 || a.header.Get("Vary") != "" {
			t.Errorf("%s: %v %v", method, list, a.header)
		}
	}
}
