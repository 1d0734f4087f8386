package gate

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// fleeting is a denylist whose tokens stay revoked only until the next ones are:
// so one denylist serves a whole fuzz run.
type fleeting struct {
	list *revocation.Denylist
	now  atomic.Int64 // Unix seconds
}

func newFleeting(f *testing.F) *fleeting {
	f.Helper()
	var x fleeting
	x.now.Store(time.Now().Unix())
	var err error
	x.list, err = revocation.Open(f.Context(), &memory{records: map[revocation.Key]revocation.Record{}}, revocation.Options{
		CacheBytes: 1 << 20,
		Now:        func() time.Time { return time.Unix(x.now.Load(), 0) },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = x.list.Close() })
	return &x
}

// refused says whether a request is, with only the given token revoked.
func (x *fleeting) refused(t *testing.T, g *Gate, revoked string, r *http.Request) bool {
	t.Helper()
	now := x.now.Add(1)
	revoke(t, x.list, revoked, time.Unix(now+1, 0))
	reason := g.Check(x.list, httptest.NewRecorder(), r).Reason
	return reason != Passed && reason != Unavailable
}

// FuzzPairs: whatever net/url finds under the name, the gate finds.
func FuzzPairs(f *testing.F) {
	for _, raw := range []string{
		"access_token=a", "a=b&access_token=c&access_token=d", "%61ccess%5ftoken=%41+%2B", "access_token=a%zz&access_token=b",
		"access_token==&access_token", "&&=&access_token=\xff%00", "access_token=%20a%09", "access_token={\"payload\":\"\"}",
	} {
		f.Add(raw)
	}
	x := newFleeting(f)
	query, form := gate(f), gate(f, Place{In: Form, Name: "access_token"})
	f.Fuzz(func(t *testing.T, raw string) {
		values, _ := url.ParseQuery(raw)
		for _, token := range values["access_token"] {
			if strings.TrimSpace(token) == "" {
				continue
			}
			r := request(http.Header{})
			r.URL.RawQuery = raw
			if !x.refused(t, query, token, r) {
				t.Errorf("%q in the query %q", token, raw)
			}
			r = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(raw))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if len(raw) <= DefaultMaxForm && !x.refused(t, form, token, r) {
				t.Errorf("%q in the form %q", token, raw)
			}
		}
	})
}

// FuzzCookies: whatever net/http finds under the name, the gate finds.
func FuzzCookies(f *testing.F) {
	for _, field := range []string{
		"sid=a", "a=b; sid=c", `sid="a"; sid=b`, "sid = a", `sid="a b,c"`, "sid=a;;sid=b;=", "\tsid=a\t", `sid=""a""`,
	} {
		f.Add(field)
	}
	x := newFleeting(f)
	g := gate(f, Place{In: Cookie, Name: "sid"})
	f.Fuzz(func(t *testing.T, field string) {
		r := request(http.Header{"Cookie": {field}})
		for _, cookie := range r.CookiesNamed("sid") {
			if strings.TrimSpace(cookie.Value) != "" && !x.refused(t, g, cookie.Value, r) {
				t.Errorf("%q in %q", cookie.Value, field)
			}
		}
	})
}

// FuzzMultipart: whatever mime/multipart finds under the name, the gate finds.
func FuzzMultipart(f *testing.F) {
	for _, body := range []string{
		"--x\r\nContent-Disposition: form-data; name=access_token\r\n\r\na\r\n--x--",
		"--x\nContent-Disposition: form-data; name=\"access_token\"; filename=b\n\na\n--x--\n",
		"p\r\n--x \r\ncontent-disposition: form-data;\r\n name=access_token\r\n\r\n--y\r\n--x-- ",
		"--x\r\nContent-Disposition: form-data; name*=utf-8''access_token\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=61\r\n--x--",
	} {
		f.Add(body)
	}
	x := newFleeting(f)
	g := gate(f, Place{In: Form, Name: "access_token"})
	f.Fuzz(func(t *testing.T, body string) {
		send := func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			return r
		}
		for _, token := range partsNamed(body, "access_token") {
			if strings.TrimSpace(token) != "" && len(body) <= DefaultMaxForm && !x.refused(t, g, token, send()) {
				t.Errorf("%q in %q", token, body)
			}
		}
	})
}

func partsNamed(body, name string) (values []string) {
	parts := multipart.NewReader(strings.NewReader(body), "x")
	for {
		part, err := parts.NextPart()
		if err != nil {
			return values
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(part); err == nil && part.FormName() == name {
			values = append(values, b.String())
		}
	}
}
