package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
)

// confidential is every token, secret and assertion that the tests have used so
// far. These come in by themselves:
//
//   - what the makers of tokens and assertions make (newToken, randomToken, jwt,
//     looksLikeJWT, numbered, authority, asserter, clientKey);
//   - what the Caddyfile of a Caddy has as secrets, also where placeholders stand
//     for them: the environment and files (loud_test.go);
//   - what requests carry where credentials stand: those whose answers go through
//     answerOf or readAll, those that are sent by http.DefaultClient or written on
//     a connection by hand, and those that reach the upstream, whoever sent them;
//   - what foreign clients are told to use (node.ask).
//
// What foreign clients make themselves and only Caddy sees is not known: their
// assertions, that is, unless they are relayed.
var confidential = newSecrets()

// Names of members of JSON, of parameters and cookies, and of header fields that
// carry what is confidential.
var (
	confidentialMember = regexp.MustCompile(`(?i)(token|secret|assertion|password)$`)
	confidentialName   = regexp.MustCompile(`(?i)(token|secret|assertion|password|session|^at|^key)(\[.*)?$`)
	confidentialField  = regexp.MustCompile(`(?i)^(x[-_.].*(token|key).*|dpop)$`)
)

// sees adds what a request carries, without its body.
func (s *secrets) sees(r *http.Request) {
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, value := range r.Header[name] {
			s.credentials(value)
		}
	}
	for _, value := range r.Header["Cookie"] {
		s.form(value, ";")
	}
	for name, values := range r.Header {
		for _, value := range values {
			if confidentialField.MatchString(name) {
				s.words(value)
			}
		}
	}
	s.form(r.URL.RawQuery, "&")
}

// credentials adds those of an Authorization field.
func (s *secrets) credentials(value string) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok {
		s.words(value)
		return
	}
	if strings.EqualFold(scheme, "Basic") {
		decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if _, password, ok := strings.Cut(string(decoded), ":"); ok && err == nil {
			s.add(password)
			if plain, err := url.QueryUnescape(password); err == nil {
				s.add(plain)
			}
			return
		}
	}
	s.words(rest)
}

// words adds each word of a list.
func (s *secrets) words(text string) {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" ,\"\t\r\n", r) }) {
		s.add(word)
	}
}

// form adds the values of a form, of a query or of cookies.
func (s *secrets) form(text, separator string) {
	for pair := range strings.SplitSeq(text, separator) {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		value, _, _ = strings.Cut(value, "\r\n")
		if !ok || len(value) < shortest {
			continue
		}
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if !confidentialName.MatchString(name) {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			s.add(plain)
		}
		s.add(strings.Trim(value, `"`))
	}
}

// body adds what stands in a body.
func (s *secrets) body(contentType string, body []byte) {
	switch {
	case strings.Contains(contentType, "json"):
		var value any
		if json.Unmarshal(body, &value) == nil {
			s.members(value)
		}
	case strings.Contains(contentType, "urlencoded"):
		s.form(string(body), "&")
	}
}

// members adds what stands in JSON.
func (s *secrets) members(value any) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			s.members(v)
		}
	case map[string]any:
		for name, v := range value {
			if text, ok := v.(string); ok && confidentialMember.MatchString(name) {
				s.add(resolved(text))
			}
			s.members(v)
		}
	}
}

// raw adds what stands in a request that a test has written itself.
func (s *secrets) raw(request string) {
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	first, rest, _ := strings.Cut(head, "\r\n")
	if _, query, ok := strings.Cut(first, "?"); ok {
		query, _, _ = strings.Cut(query, " ")
		s.form(query, "&")
	}
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(name, "Authorization"):
			s.credentials(value)
		case strings.EqualFold(name, "Cookie"):
			s.form(value, ";")
		case confidentialField.MatchString(name):
			s.words(value)
		}
	}
	s.form(body, "&")
}

// secretLine is where a secret stands in a Caddyfile.
var (
	secretLine  = regexp.MustCompile(`(?m)^\s*(?:client_)?secret(?:_hash)?\s+(.+?)\s*$`)
	placeholder = regexp.MustCompile(`\{(env|file)\.([^}]+)\}`)
)

// caddyfile adds what a Caddyfile has as secrets, and what stands in its place.
func (s *secrets) caddyfile(text string) {
	for _, line := range secretLine.FindAllStringSubmatch(text, -1) {
		s.add(resolved(strings.Trim(line[1], "\"`")))
	}
}

// resolved is what stands in a configuration, with what its placeholders stand for.
func resolved(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(text string) string {
		parts := placeholder.FindStringSubmatch(text)
		if parts[1] == "env" {
			return os.Getenv(parts[2])
		}
		b, _ := os.ReadFile(parts[2])
		return strings.TrimRight(string(b), "\r\n")
	})
}

// request adds what a request carries that is sent, or was.
func (s *secrets) request(r *http.Request) {
	s.sees(r)
	if r.GetBody == nil {
		return
	}
	body, err := r.GetBody()
	if err != nil {
		return
	}
	b, _ := io.ReadAll(io.LimitReader(body, 1<<20))
	s.body(r.Header.Get("Content-Type"), b)
	if c, ok := admins.Load(r.URL.Host); ok && configures(r.URL.Path) {
		c.(*caddy).configured(string(b))
	}
}

// recording is a transport that adds what the requests carry which it sends, and
// keeps what admin endpoints answer. What readAll reads needs none.
type recording struct{ *http.Transport }

func (r recording) RoundTrip(request *http.Request) (*http.Response, error) {
	confidential.request(request)
	response, err := r.Transport.RoundTrip(request)
	if err == nil {
		overhear(response)
	}
	return response, err
}

// configures says whether a path of the admin endpoint is about the configuration.
func configures(path string) bool {
	return strings.HasPrefix(path, "/config/") || path == "/load" || path == "/adapt"
}

// admins are the Caddys by the addresses of their admin endpoints.
var admins sync.Map

// overhear keeps what an admin endpoint answers.
func overhear(response *http.Response) {
	r := response.Request
	if _, already := response.Body.(*overheard); already {
		return
	}
	if c, ok := admins.Load(r.URL.Host); ok {
		response.Body = &overheard{ReadCloser: response.Body, c: c.(*caddy), request: r.Method + " " + r.URL.Path}
	}
}

// overheard is an answer of an admin endpoint, of which it keeps a copy, up to
// overheardLimit.
type overheard struct {
	io.ReadCloser
	c       *caddy
	request string
	copy    bytes.Buffer
}

const overheardLimit = 8 << 20

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if o.copy.Len() < overheardLimit {
		o.copy.Write(p[:n])
	}
	return n, err
}

func (o *overheard) Close() error {
	o.c.hear(o.request, o.copy.Bytes())
	return o.ReadCloser.Close()
}
