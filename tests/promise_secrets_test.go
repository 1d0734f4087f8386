package tests

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Promise 10, "nothing secret leaves", is held against every Caddy that any test
// runs: see loud for what it says, confidential for what is secret, and
// keepsSecrets for where that is looked for. What is here shows that this search
// finds what there is to find.

// leakySite logs whatever clients send, without a filter.
const leakySite = `
{
	admin ADMIN
	auto_https off
	debug
	metrics {
		per_host
		observe_catchall_hosts
	}
	servers {
		log_credentials
	}
}
http://:PORT {
	log {
		output file FILE
	}
	header X-Written WRITTEN
	respond "{http.request.header.X-Other}"
}
http://localhost:OTHER {
	log
	reverse_proxy UPSTREAM
}
`

// A Caddy that leaks, as it is configured to, is found out in every place where it
// does, whatever the writing.
func TestLeaksAreFound(t *testing.T) {
	written := randomToken() // which the user has put into the Caddyfile
	var leaks []leak
	var dir string
	sent := map[string]string{}
	t.Run("leaky", func(t *testing.T) {
		c := newCaddy(t, t.TempDir(), newUpstream(t))
		c.asItStands = "it is to leak"
		c.leaking = func(l leak) { leaks = append(leaks, l) }
		dir = c.dir
		other := freePort(t)
		c.launch(strings.NewReplacer("FILE", c.dir+"/access.log", "OTHER", other, "WRITTEN", written).Replace(leakySite))
		send := func(address, writing string, put func(r *http.Request, token string)) {
			t.Helper()
			r, err := http.NewRequest(http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			sent[writing] = oddToken()
			put(r, sent[writing])
			do(t, r)
		}
		logged := "http://localhost:" + other
		send(logged, "plain", func(r *http.Request, token string) { r.Header.Set("Authorization", "Bearer "+token) })
		send(logged, "escaped", func(r *http.Request, token string) { r.URL.RawQuery = "access_token=" + url.QueryEscape(token) })
		for i := range 3 {
			send(logged, fmt.Sprint("base64 ", i), func(r *http.Request, token string) { r.SetBasicAuth(strings.Repeat("i", i), token) })
		}
		send(logged, "hex", func(r *http.Request, token string) { r.Header.Set("X-Hex", hex.EncodeToString([]byte(token))) })
		send(logged, "a part", func(r *http.Request, token string) { r.Header.Set("X-Part", token[5:28]) })
		send(logged, "a signature", func(r *http.Request, token string) {
			sent["a signature"] = looksLikeJWT()
			r.Header.Set("X-Part", sent["a signature"][strings.LastIndexByte(sent["a signature"], '.')+1:])
		})
		send(c.url, "in a file", func(r *http.Request, token string) { r.Header.Set("Authorization", "Bearer "+token) })
		send(c.url, "in metrics", func(r *http.Request, token string) {
			sent["in metrics"] = strings.ToLower(randomToken())
			r.Host = confidential.add(sent["in metrics"])
		})
	})
	found := func(place, secret string) bool {
		return slices.ContainsFunc(leaks, func(l leak) bool { return l.place == place && l.secret == secret })
	}
	for writing, secret := range sent {
		place := map[string]string{"in a file": dir + "/access.log", "in metrics": "the answer to GET /metrics"}[writing]
		if place == "" {
			place = "the log"
		}
		if !found(place, secret) {
			t.Errorf("%s: %s was not found in %s", writing, secret, place)
		}
	}
	// What the user has written down stands where the configuration does, and no
	// more can be said about it there; elsewhere it is found.
	for _, l := range leaks {
		if l.secret == written && (strings.Contains(l.place, "/config/") || strings.HasSuffix(l.place, "autosave.json")) {
			t.Errorf("%s repeats what the user wrote, and was complained about", l.place)
		}
	}
	if !found(dir+"/access.log", written) {
		t.Error("what the user wrote was not found in a log")
	}
}

// Every piece of a secret that is long enough is found, wherever it begins and
// ends, and what is no secret is not.
func TestSecretsAreFound(t *testing.T) {
	const around = `{"level":"info","msg":"nothing to see","digest":"0123456789ab","uri":"`
	s := newSecrets()
	secret, short := randomToken(), "s3cr3t!!"
	s.add(secret)
	s.add(short)
	finds := func(text, secret string) bool {
		list := s.in([]byte(around + text + `"}`))
		return len(list) == 1 && list[0].secret == secret
	}
	for from := range len(secret) {
		for to := from + telling + stride - 1; to <= len(secret); to++ {
			if !finds(secret[from:to], secret) {
				t.Errorf("not found: %s of %s", secret[from:to], secret)
			}
		}
	}
	for before := range 6 {
		for after := range 6 {
			text := []byte(strings.Repeat("<", before) + short + strings.Repeat(">", after))
			for _, writing := range []string{
				string(text), base64.StdEncoding.EncodeToString(text), base64.RawURLEncoding.EncodeToString(text), hex.EncodeToString(text),
			} {
				if !finds(writing, short) {
					t.Errorf("not found: %s", writing)
				}
			}
		}
	}
	for _, innocent := range []string{"", short[1:], secret[:telling-1], strings.ToUpper(secret), randomToken()} {
		if list := s.in([]byte(around + innocent)); len(list) > 0 {
			t.Errorf("found in %q: %v", innocent, list)
		}
	}
}

// BenchmarkSearch looks through a log without secrets for many.
func BenchmarkSearch(b *testing.B) {
	s := newSecrets()
	for range 20_000 {
		s.add(fmt.Sprintf("%s%d", strings.Repeat(randomToken(), 2), b.N))
	}
	line := []byte(`{"level":"info","ts":1795323142.1698127,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1"}}` + "\n")
	log := slices.Repeat(line, 100_000)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if len(s.in(log)) > 0 {
			b.Fatal("something was found")
		}
	}
}
