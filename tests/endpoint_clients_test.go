package tests

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// How clients write their credentials: form-encoded as RFC 6749 §2.3.1 has it,
// and raw, as most SDKs do.
func TestEndpointCredentials(t *testing.T) {
	up := newUpstream(t)
	secrets := map[string]string{
		"plus":          "a+b/c==",
		"percent":       "100%",
		"percent-code":  "a%2Bb%",
		"colon":         "a:b::c",
		"space":         "a b  c",
		"utf8":          "pässwörd-€-密",
		"ampersand":     "a&b=c;d",
		"quote":         `a"b'c`,
		"an id+1 50%":   "secret-of-an-odd-id",
		"ïd":            "secret-of-a-foreign-id",
		"https://a.b/c": "secret-of-a-url",
		"long":          strings.Repeat("long", 100),
	}
	var clients strings.Builder
	for id, secret := range secrets {
		_, _ = fmt.Fprintf(&clients, "client `%s` {\n secret `%s`\n}\n", id, secret)
	}
	c := start(t, strings.Replace(endpointSite, "client webapp", clients.String()+"client webapp", 1), up)

	for id, secret := range secrets {
		t.Run(id, func(t *testing.T) {
			type writing struct{ name, id, secret string }
			writings := []writing{
				{"form-encoded", url.QueryEscape(id), url.QueryEscape(secret)},
				{"percent-encoded", strings.ReplaceAll(url.QueryEscape(id), "+", "%20"), strings.ReplaceAll(url.QueryEscape(secret), "+", "%20")},
			}
			// Raw, a colon ends the id, and what looks like an encoding is one.
			if !strings.Contains(id, ":") {
				writings = append(writings, writing{"raw", id, secret})
			}
			for _, w := range writings {
				c.try(t, up, revocationRequest{header: fields("Authorization", basic(w.id, w.secret)), want: success})
				c.try(t, up, revocationRequest{header: fields("Authorization", basic(w.id, w.secret+"x")), want: invalidBasic})
				c.try(t, up, revocationRequest{
					header: fields("Authorization", basic(w.id, w.secret)), body: "token=TOKEN&client_id=" + url.QueryEscape(id), want: success,
				})
			}
			form := url.Values{"client_id": {id}, "client_secret": {secret}}
			c.try(t, up, revocationRequest{header: without("Authorization"), body: "token=TOKEN&" + form.Encode(), want: success})
			form.Set("client_secret", secret+" ")
			c.try(t, up, revocationRequest{header: without("Authorization"), body: "token=TOKEN&" + form.Encode(), want: invalidClient})
		})
	}
	for name, value := range map[string]string{
		"scheme in capitals":   strings.Replace(basic("backend", "backend-secret"), "Basic", "BASIC", 1),
		"scheme in small":      strings.Replace(basic("backend", "backend-secret"), "Basic", "basic", 1),
		"scheme in odd case":   strings.Replace(basic("backend", "backend-secret"), "Basic", "bAsIC", 1),
		"two spaces":           strings.Replace(basic("backend", "backend-secret"), "Basic ", "Basic  ", 1),
		"space at the end":     basic("backend", "backend-secret") + "  ",
		"without padding":      "Basic " + base64.RawStdEncoding.EncodeToString([]byte("only-post-x")),
		"without its padding":  "Basic " + base64.RawStdEncoding.EncodeToString([]byte("backend:backend-secret")),
		"public, no padding":   "Basic " + base64.RawStdEncoding.EncodeToString([]byte("webapp")),
		"public, empty secret": basic("webapp", ""),
		"public, no colon":     "Basic " + base64.StdEncoding.EncodeToString([]byte("webapp")),
	} {
		t.Run(name, func(t *testing.T) {
			want := success
			if name == "without padding" { // and without a client either
				want = invalidBasic
			}
			c.try(t, up, revocationRequest{header: fields("Authorization", value), want: want})
		})
	}
}

// Where Basic credentials can be read as those of two clients, the reading of
// the RFC counts, unless client_id says which is meant.
func TestEndpointAmbiguousCredentials(t *testing.T) {
	up := newUpstream(t)
	c := start(t, strings.Replace(endpointSite, "client webapp", "client `a b` {\n secret x\n}\nclient a+b {\n secret y\n}\nclient webapp", 1), up)
	for _, r := range []revocationRequest{
		{name: "decoded", header: fields("Authorization", basic("a+b", "x")), want: success},
		{name: "raw", header: fields("Authorization", basic("a+b", "y")), want: invalidBasic},
		{name: "raw, named", header: fields("Authorization", basic("a+b", "y")), body: "token=TOKEN&client_id=a%2Bb", want: success},
		{name: "raw, the other named", header: fields("Authorization", basic("a+b", "y")), body: "token=TOKEN&client_id=a+b", want: invalidBasic},
		{name: "decoded, the other named", header: fields("Authorization", basic("a+b", "x")), body: "token=TOKEN&client_id=a%2Bb", want: invalidBasic},
		{name: "encoded", header: fields("Authorization", basic("a%2Bb", "y")), want: success},
	} {
		t.Run(r.name, func(t *testing.T) { c.try(t, up, r) })
	}
}

// Secrets that do not stand in the configuration: as hashes, as `caddy
// hash-password` and others make them, in the environment, and in files.
func TestEndpointHiddenSecrets(t *testing.T) {
	up := newUpstream(t)
	dir := t.TempDir()
	c := newCaddy(t, dir, up)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "{file." + path + "}"
	}
	hash := func(args ...string) string {
		out, err := c.command(append([]string{"hash-password", "--plaintext", "pass+word%"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	full := strings.Repeat("0123456789ab", 6) // the 72 bytes that bcrypt sees
	bcrypt := hash("--algorithm", "bcrypt", "--bcrypt-cost", "4")
	t.Setenv("TEST_SECRET", "from the environment")
	t.Setenv("TEST_HASH", bcrypt)
	t.Setenv("TEST_ID", "id-from-env")

	clients := []struct{ id, secret, line string }{
		{"bcrypt", "pass+word%", "secret_hash " + bcrypt},
		{"bcrypt-php", "pass+word%", "secret_hash " + strings.Replace(bcrypt, "$2a$", "$2y$", 1)},
		{"bcrypt-full", full, "secret_hash $2a$04$JKoNCbTenS5oxdgphTXe../NxPGstIva58qg6nJSYBwv1NU8UDGvq"},
		{"argon2id", "pass+word%", "secret_hash " + hash("--algorithm", "argon2id", "--argon2id-memory", "64", "--argon2id-time", "1")},
		{"env", "from the environment", "secret {env.TEST_SECRET}"},
		{"env-hash", "pass+word%", "secret_hash {env.TEST_HASH}"},
		{"file", "from a file", "secret " + file("secret", "from a file\n")},
		{"file-crlf", "from a file", "secret " + file("crlf", "from a file\r\n")},
		{"file-space", " from a file\n ", "secret " + file("space", " from a file\n \n")},
		{"file-hash", "pass+word%", "secret_hash " + file("hash", bcrypt+"\n")},
		{"both", "a-from the environment-b", "secret a-{env.TEST_SECRET}-b"},
		{"escaped", "{env.TEST_SECRET}", `secret \{env.TEST_SECRET\}`},
	}
	var lines strings.Builder
	for _, client := range clients {
		_, _ = fmt.Fprintf(&lines, "client %s {\n %s\n}\n", client.id, client.line)
	}
	lines.WriteString("client {env.TEST_ID} {\n secret plain\n}\n")
	c.launch(strings.Replace(endpointSite, "client webapp", lines.String()+"client webapp", 1))

	for _, client := range clients {
		t.Run(client.id, func(t *testing.T) {
			for range 2 { // the second time it is known
				c.try(t, up, revocationRequest{header: fields("Authorization", basic(client.id, client.secret)), want: success})
				c.try(t, up, revocationRequest{header: fields("Authorization", basic(client.id, url.QueryEscape(client.secret))), want: success})
				for _, wrong := range []string{client.secret + "x", client.secret[1:], "", "x", "secret"} {
					c.try(t, up, revocationRequest{header: fields("Authorization", basic(client.id, wrong)), want: invalidBasic})
				}
			}
		})
	}
	t.Run("id", func(t *testing.T) {
		c.try(t, up, revocationRequest{header: fields("Authorization", basic("id-from-env", "plain")), want: success})
		c.try(t, up, revocationRequest{header: fields("Authorization", basic("{env.TEST_ID}", "plain")), want: invalidBasic})
	})
	t.Run("nothing is resolved in a request", func(t *testing.T) {
		c.try(t, up, revocationRequest{header: fields("Authorization", basic("env", "{env.TEST_SECRET}")), want: invalidBasic})
		form := url.Values{"client_id": {"env"}, "client_secret": {"{env.TEST_SECRET}"}}
		c.try(t, up, revocationRequest{header: http.Header{"Authorization": nil}, body: "token=TOKEN&" + form.Encode(), want: invalidClient})
	})
	for _, secret := range []string{"pass+word%", "from the environment", "from a file", bcrypt} {
		if strings.Contains(c.logs.String(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
}
