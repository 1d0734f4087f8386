package tests

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const urlencodedType = "application/x-www-form-urlencoded"

// form sends an urlencoded body, of which "%s" is the token.
func form(contentType, body string) func(*http.Request, string) {
	return func(r *http.Request, token string) {
		post(r, contentType, strings.ReplaceAll(body, "%s", url.QueryEscape(token)))
	}
}

// multi sends a multipart body with LF for its line breaks where not CRLF is
// meant: every "\n" becomes CRLF, and every "¶" a bare LF, every "§" a bare CR.
func multi(contentType, body string) func(*http.Request, string) {
	return func(r *http.Request, token string) {
		post(r, contentType, strings.NewReplacer("\n", "\r\n", "¶", "\n", "§", "\r", "%s", token).Replace(body))
	}
}

func part(head, value string) string {
	return "--xyz\n" + head + "\n\n" + value + "\n"
}

func field(name, value string) string {
	return part(`Content-Disposition: form-data; name="`+name+`"`, value)
}

const (
	multipartType = "multipart/form-data; boundary=xyz"
	end           = "--xyz--\n"
)

func TestGateForm(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	const (
		malformed   = http.StatusBadRequest
		unsupported = http.StatusUnsupportedMediaType
		tooLarge    = http.StatusRequestEntityTooLarge
	)
	presentations(t, c, up, []presentation{
		{name: "urlencoded", one: form(urlencodedType, "access_token=%s")},
		{name: "among others", one: form(urlencodedType, "a=b&access_token=%s&c=d")},
		{name: "twice", two: func(r *http.Request, first, second string) {
			form(urlencodedType, "access_token=%s&access_token="+url.QueryEscape(second))(r, first)
		}},
		{name: "semicolon", one: form(urlencodedType, "a=b;access_token=%s")},
		{name: "array", one: form(urlencodedType, "access_token[]=%s")},
		{name: "brackets around", one: form(urlencodedType, "[access_token]=%s")},
		{name: "dot", one: form(urlencodedType, "access.token=%s")},
		{name: "upper case", one: form(urlencodedType, "ACCESS_TOKEN=%s")},
		{name: "encoded name", one: form(urlencodedType, "%61ccess%5Ftoken=%s")},
		{name: "type in upper case", one: form("APPLICATION/X-WWW-FORM-URLENCODED", "access_token=%s")},
		{name: "type with a charset", one: form(urlencodedType+"; charset=UTF-8", "access_token=%s")},
		{name: "type with a quoted charset", one: form(urlencodedType+`;charset="utf-8"`, "access_token=%s")},
		{name: "type with something behind", one: form(urlencodedType+"-x", "access_token=%s")},
		{name: "no type", one: func(r *http.Request, token string) {
			form("", "access_token=%s")(r, token)
			delete(r.Header, "Content-Type")
		}},
		{name: "empty type", one: form("", "access_token=%s")},
		{name: "PUT", one: func(r *http.Request, token string) {
			form(urlencodedType, "access_token=%s")(r, token)
			r.Method = http.MethodPut
		}},
		{name: "GET", one: func(r *http.Request, token string) {
			form(urlencodedType, "access_token=%s")(r, token)
			r.Method = http.MethodGet
		}},
		{name: "chunked", one: func(r *http.Request, token string) {
			form(urlencodedType, "access_token=%s")(r, token)
			r.ContentLength = -1
		}},
		{name: "identity", one: func(r *http.Request, token string) {
			form(urlencodedType, "access_token=%s")(r, token)
			r.Header.Set("Content-Encoding", "identity")
		}},
		{name: "Authorization beside", two: func(r *http.Request, first, second string) {
			r.Header.Set("Authorization", "Bearer "+first)
			form(urlencodedType, "access_token=%s")(r, second)
		}},
		{name: "unknown charset", one: form(urlencodedType+"; charset=utf-16", "access_token=%s"), refused: unsupported, passes: unsupported},
		{name: "EBCDIC", one: form(urlencodedType+"; charset=ibm037", "access_token=%s"), refused: unsupported, passes: unsupported},
		{name: "charset twice", one: form(urlencodedType+"; charset=utf-8; charset=utf-16", "access_token=%s"), refused: unsupported, passes: unsupported},
		{name: "broken type", one: form(urlencodedType+"; ;=", "access_token=%s"), refused: unsupported, passes: unsupported},
		{name: "list of types", one: form("text/plain, "+urlencodedType, "access_token=%s"), refused: unsupported, passes: unsupported},
		{name: "list of forms", one: form(urlencodedType+","+multipartType, "access_token=%s"), refused: unsupported, passes: unsupported},
		{name: "two types", one: func(r *http.Request, token string) {
			form("text/plain", "access_token=%s")(r, token)
			r.Header.Add("Content-Type", urlencodedType)
		}, refused: malformed, passes: malformed},
		{name: "gzip", one: func(r *http.Request, token string) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = io.WriteString(z, "access_token="+url.QueryEscape(token))
			_ = z.Close()
			post(r, urlencodedType, b.String())
			r.Header.Set("Content-Encoding", "gzip")
		}, refused: unsupported, passes: unsupported},
		{name: "two encodings", one: func(r *http.Request, token string) {
			form(urlencodedType, "access_token=%s")(r, token)
			r.Header["Content-Encoding"] = []string{"identity", "gzip"}
		}, refused: unsupported, passes: unsupported},
		{name: "too large", one: form(urlencodedType, "access_token=%s&x="+strings.Repeat("x", 5000)), refused: tooLarge, passes: tooLarge},
		{name: "too large, chunked", one: func(r *http.Request, token string) {
			form(urlencodedType, "x="+strings.Repeat("x", 5000)+"&access_token=%s")(r, token)
			r.ContentLength = -1
		}, refused: tooLarge, passes: tooLarge},

		{name: "multipart", one: multi(multipartType, field("access_token", "%s")+end)},
		{name: "multipart among others", one: multi(multipartType, field("a", "b")+field("access_token", "%s")+field("c", "d")+end)},
		{name: "multipart twice", two: func(r *http.Request, first, second string) {
			multi(multipartType, field("access_token", "%s")+field("access_token", second)+end)(r, first)
		}},
		{name: "multipart with a preamble", one: multi(multipartType, "hello\n"+field("access_token", "%s")+end+"bye\n")},
		{name: "multipart with LF", one: multi(multipartType, strings.ReplaceAll(field("access_token", "%s")+end, "\n", "¶"))},
		{name: "multipart with a name in other case", one: multi(multipartType, field("Access.Token", "%s")+end)},
		{name: "multipart array", one: multi(multipartType, field("access_token[]", "%s")+end)},
		{name: "multipart file", one: multi(multipartType, part(`Content-Disposition: form-data; name="access_token"; filename="a.txt"`+"\nContent-Type: text/plain", "%s")+end)},
		{name: "multipart field without quotes", one: multi(multipartType, part("content-disposition: FORM-DATA; NAME=access_token", "%s")+end)},
		{name: "multipart field with single quotes", one: multi(multipartType, part("Content-Disposition: form-data; name='access_token'", "%s")+end)},
		{name: "multipart field with an escape", one: multi(multipartType, part(`Content-Disposition: form-data; name="access\_token"`, "%s")+end)},
		{name: "multipart attachment", one: multi(multipartType, part(`Content-Disposition: attachment; name="access_token"`, "%s")+end)},
		{name: "multipart field with two names", one: multi(multipartType, part(`Content-Disposition: form-data; name="a"; name="access_token"`, "%s")+end)},
		{name: "multipart field with a name within a name", one: multi(multipartType, part(`Content-Disposition: form-data; name="a; name=access_token"`, "%s")+end)},
		{name: "multipart field with an encoded name beside", one: multi(multipartType, part(`Content-Disposition: form-data; name="access_token"; name*=utf-8''a`, "%s")+end)},
		{name: "multipart field with an encoded name", one: multi(multipartType, part(`Content-Disposition: form-data; name*=utf-8''%61ccess_token`, "%s")+end)},
		{name: "multipart field with a name in pieces", one: multi(multipartType, part(`Content-Disposition: form-data; name*0="access_"; name*1="token"`, "%s")+end)},
		{name: "multipart field with a MIME word", one: multi(multipartType, part(`Content-Disposition: form-data; name="=?utf-8?Q?=61ccess=5ftoken?="`, "%s")+end)},
		{name: "multipart field with two dispositions", one: multi(multipartType, part("Content-Disposition: form-data; name=a\nContent-Disposition: form-data; name=access_token", "%s")+end)},
		{name: "multipart field with a folded disposition", one: multi(multipartType, part("Content-Disposition: form-data;\n name=\"access_token\"", "%s")+end)},
		{name: "multipart field named by Content-ID", one: multi("multipart/related; boundary=xyz", part("Content-ID: access_token", "%s")+end)},
		{name: "multipart of another type", one: multi("multipart/mixed; boundary=xyz", field("access_token", "%s")+end)},
		{name: "multipart with space around the token", one: multi(multipartType, field("access_token", " %s\n")+end)},
		{name: "multipart in base64", one: multi(multipartType, part("Content-Disposition: form-data; name=access_token\nContent-Transfer-Encoding: base64", "%s")+end), refused: malformed, passes: malformed},
		{name: "multipart in UTF-16", one: multi(multipartType, part("Content-Disposition: form-data; name=access_token\nContent-Type: text/plain; charset=utf-16", "%s")+end), refused: malformed, passes: malformed},
		{name: "multipart with a delimiter behind LF", one: multi(multipartType, field("a", "b¶--xyz¶Content-Disposition: form-data; name=access_token¶¶%s")+end), refused: malformed, passes: malformed},
		{name: "multipart with a delimiter behind CR", one: multi(multipartType, field("a", "b§--xyz\nContent-Disposition: form-data; name=access_token\n\n%s")+end), refused: malformed, passes: malformed},
		{name: "multipart with a part behind its end", one: multi(multipartType, field("a", "b")+end+field("access_token", "%s")+end), refused: malformed, passes: malformed},
		{name: "multipart with a header behind CR", one: multi(multipartType, part("X: a§Content-Disposition: form-data; name=access_token\nContent-Disposition: form-data; name=a", "%s")+end), refused: malformed, passes: malformed},
		{name: "multipart without an end", one: multi(multipartType, field("access_token", "%s")), refused: malformed, passes: malformed},
		{name: "multipart without a header", one: multi(multipartType, "--xyz\n%s\n"+end), refused: malformed, passes: malformed},
		{name: "multipart without a boundary", one: multi("multipart/form-data", field("access_token", "%s")+end), refused: unsupported, passes: unsupported},
		{name: "multipart with two boundaries", one: multi("multipart/form-data; xboundary=abc; boundary=xyz", field("access_token", "%s")+end), refused: unsupported, passes: unsupported},
		{name: "multipart with an encoded boundary", one: multi("multipart/form-data; boundary*=utf-8''xyz", field("access_token", "%s")+end), refused: unsupported, passes: unsupported},
		{name: "multipart with an escaped boundary", one: multi(`multipart/form-data; boundary="x\"yz"`, field("access_token", "%s")+end), refused: unsupported, passes: unsupported},
	})

	t.Run("too many fields", func(t *testing.T) {
		new(presentation).check(t, c, up, malformed, func(r *http.Request) {
			post(r, urlencodedType, strings.Repeat("access_token=x&", 65))
		})
	})
	t.Run("cut off", func(t *testing.T) {
		// The client closes its side before the announced body has come.
		before := up.reached.Load()
		status := c.rawAndClose(t, "POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+urlencodedType+"\r\nContent-Length: 100\r\n\r\naccess_token=")
		if status != malformed || up.reached.Load() != before {
			t.Errorf("%d", status)
		}
	})
}

// What passes reaches the upstream byte for byte.
func TestGateFormIsUnchanged(t *testing.T) {
	up := newUpstream(t)
	c := start(t, everywhere, up)
	long := "access_token=x&y=" + strings.Repeat("z", 4<<10-len("access_token=x&y="))
	for _, test := range []struct {
		name, contentType, body string
		length                  int64 // -1 for chunked
	}{
		{"urlencoded", urlencodedType, "a=b&access_token=%74ok+en;;&&=&%zz&c=%", 0},
		{"chunked", urlencodedType, "a=b&access_token=token", -1},
		{"as large as possible", urlencodedType, long, 0},
		{"as large as possible, chunked", urlencodedType, long, -1},
		{"empty", urlencodedType, "", 0},
		{"empty and chunked", urlencodedType, "", -1},
		{"multipart", multipartType, "preamble\r\n--xyz\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\xff\"\r\n\r\n\x00\xff\r\n--xyz-- \r\nepilogue", 0},
		{"multipart, chunked", multipartType, "--xyz\nContent-Disposition: form-data; name=a\n\nb\n--xyz--", -1},
		{"no form", "application/json", `{"access_token":"` + strings.Repeat("x", 100<<10) + `"}`, 0},
		{"no form, chunked", "application/octet-stream", strings.Repeat("\x00\x01", 50<<10), -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			new(presentation).check(t, c, up, http.StatusOK, func(r *http.Request) {
				post(r, test.contentType, test.body)
				if test.length < 0 {
					r.ContentLength = -1
				}
			})
			up.mu.Lock()
			defer up.mu.Unlock()
			if string(up.body) != test.body {
				t.Errorf("the upstream got %q, want %q", up.body, test.body)
			}
			if got := up.last.Header.Get("Content-Type"); got != test.contentType {
				t.Errorf("the upstream got the type %q, want %q", got, test.contentType)
			}
			if want := int64(len(test.body)); want > 0 && test.length == 0 && up.last.ContentLength != want {
				t.Errorf("the upstream got a length of %d, want %d", up.last.ContentLength, want)
			}
		})
	}
}
