package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
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
// an encoding of its own is an error.
func kindOf(r *http.Request) (kind formKind, boundary string, err error) {
	contentType := r.Header.Get("Content-Type")
	end := strings.IndexAny(contentType, ";, \t")
	if end < 0 {
		end = len(contentType)
	}
	switch strings.ToLower(contentType[:end]) {
	case "application/x-www-form-urlencoded":
		kind = urlencoded
	case "multipart/form-data":
		kind = multipartForm
	case "": // a form to Rack
		if r.Method != http.MethodPost {
			return noForm, "", nil
		}
		kind = urlencoded
	default:
		return noForm, "", nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return noForm, "", errors.New("a form with a Content-Encoding is not supported")
	}
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return noForm, "", errors.New("the Content-Type of the form cannot be read")
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "us-ascii", "iso-8859-1", "windows-1252":
		return kind, parameters["boundary"], nil
	}
	return noForm, "", errors.New("the charset of the form is not supported")
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

func (f *formPlace) multipart(s *search, form []byte, boundary string) bool {
	const malformed = "the multipart form cannot be read"
	if boundary == "" {
		return s.malformed(malformed)
	}
	parts := multipart.NewReader(bytes.NewReader(form), boundary)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return s.malformed(malformed)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return s.malformed(malformed)
		}
		if !isNamed(part.FormName(), f.fields) {
			continue
		}
		if encoding := part.Header.Get("Content-Transfer-Encoding"); encoding != "" &&
			!strings.EqualFold(encoding, "7bit") && !strings.EqualFold(encoding, "8bit") && !strings.EqualFold(encoding, "binary") {
			return s.malformed("the token's part of the multipart form is encoded")
		}
		if !s.token(string(value)) {
			return false
		}
	}
}
