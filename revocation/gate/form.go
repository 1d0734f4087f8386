package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/body"
)

// DefaultMaxForm is the size in bytes up to which forms are read by default.
const DefaultMaxForm = 64 << 10

// formPlace is the fields of a form (RFC 6750 §2.2). All share one limit, the
// largest that was asked for.
type formPlace struct {
	fields []string
	max    int64
}

func (f *formPlace) add(p Place) error {
	switch {
	case p.MaxSize < 0:
		return fmt.Errorf("token form %s: a maximum size of %d bytes is not possible", p.Name, p.MaxSize)
	case p.MaxSize == 0:
		p.MaxSize = DefaultMaxForm
	}
	f.fields = append(f.fields, foldName(p.Name))
	f.max = max(f.max, p.MaxSize)
	return nil
}

// formKind is how a server may read a body.
type formKind uint8

const (
	noForm formKind = iota
	urlencoded
	multipartForm
)

func (g *Gate) inForm(s *search, w http.ResponseWriter, r *http.Request) bool {
	f := &g.form
	if len(f.fields) == 0 || r.Body == nil || r.Body == http.NoBody {
		return true
	}
	if len(r.Header["Content-Type"]) > 1 {
		return s.malformed("the request has more than one Content-Type header field")
	}
	kind, boundary, err := kindOf(r)
	if err != nil {
		return s.refuse(Unsupported, err)
	}
	if kind == noForm {
		return true
	}
	form, ok := f.read(s, w, r)
	if !ok {
		return false
	}
	if kind == multipartForm {
		return f.multipart(s, form, boundary)
	}
	return pairs(s, string(form), f.fields)
}

// kindOf says how servers read a body of the request's type. What they read in
// an encoding of its own, or each in another way, is an error.
func kindOf(r *http.Request) (_ formKind, boundary string, _ error) {
	contentType := r.Header.Get("Content-Type")
	kind, rest := kindOfType(contentType)
	if mentionsForm(rest) { // some take the first of a list, some the last, some look anywhere
		return noForm, "", errors.New("a form with more than one content type is not supported")
	}
	if contentType == "" && r.Method == http.MethodPost {
		kind = urlencoded // to Rack
	}
	if kind == noForm {
		return noForm, "", nil
	}
	for encoding := range strings.SplitSeq(strings.Join(r.Header["Content-Encoding"], ","), ",") {
		if encoding = trim(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
			return noForm, "", errors.New("a form with a Content-Encoding is not supported")
		}
	}
	if contentType == "" {
		return kind, "", nil
	}
	parameters, ok := plainCharset(contentType)
	if !ok {
		return noForm, "", errors.New("the Content-Type of the form cannot be read or has an unknown charset")
	}
	if boundary = parameters["boundary"]; kind == multipartForm && !plainBoundary(contentType, boundary) {
		return noForm, "", errors.New("the boundary of the multipart form cannot be read")
	}
	return kind, boundary, nil
}

// kindOfType compares the beginning only, as Undertow and Vert.x do, and returns
// what follows it. To Rack, any multipart is a form.
func kindOfType(contentType string) (kind formKind, rest string) {
	if rest, ok := cutPrefixFold(contentType, "application/x-www-form-urlencoded"); ok {
		return urlencoded, rest
	}
	if rest, ok := cutPrefixFold(contentType, "multipart/"); ok {
		_, rest, _ = strings.Cut(rest, ";")
		return multipartForm, rest
	}
	return noForm, contentType
}

func mentionsForm(contentType string) bool {
	contentType = strings.ToLower(contentType)
	return strings.Contains(contentType, "x-www-form-urlencoded") || strings.Contains(contentType, "multipart/form-data")
}

// plainCharset returns the parameters of a content type, if it can be read and
// names no charset in which a token would look different.
func plainCharset(contentType string) (parameters map[string]string, ok bool) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, false
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "us-ascii", "iso-8859-1", "windows-1252":
		return parameters, true
	}
	return nil, false
}

// plainBoundary says whether every parser finds this boundary in a content
// type: PHP takes what follows the first "boundary", Rack the last.
func plainBoundary(contentType, boundary string) bool {
	contentType = strings.ToLower(contentType)
	return boundary != "" && len(boundary) <= 70 && // RFC 2046 §5.1.1
		strings.Count(contentType, "boundary") == 1 && strings.Contains(contentType, "boundary=") &&
		!strings.ContainsAny(boundary, " \"\\;*")
}

// read takes the whole body, or refuses the request, and puts a copy in its place.
func (f *formPlace) read(s *search, w http.ResponseWriter, r *http.Request) (form []byte, ok bool) {
	form, err := body.Read(w, r, f.max)
	switch {
	case errors.Is(err, body.ErrTooLarge):
		return nil, s.refuse(TooLarge, fmt.Errorf("a form of more than %d bytes is not checked", f.max))
	case errors.Is(err, body.ErrSlow):
		return nil, s.refuse(Slow, err)
	case err != nil:
		return nil, s.refuse(Malformed, err)
	}
	r.Body = &replayed{Reader: bytes.NewReader(form), Closer: r.Body}
	return form, true
}

// replayed is a body that was read already.
type replayed struct {
	io.Reader
	io.Closer
}
