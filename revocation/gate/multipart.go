package gate

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/textproto"
	"strings"
)

// multipart looks at the parts of a multipart form (RFC 7578).
func (f *formPlace) multipart(s *search, form []byte, boundary string) bool {
	const malformed = "the multipart form cannot be read"
	parts := multipart.NewReader(bytes.NewReader(form), boundary)
	delimiters := 1 // the one behind the last part
	for ; ; delimiters++ {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.malformed(malformed)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return s.malformed(malformed)
		}
		if !f.part(s, part, string(value)) {
			return false
		}
	}
	// What is a delimiter to PHP or Werkzeug, which take any line break before
	// it, was a part of a value here.
	if bytes.Count(form, []byte("--"+boundary)) != delimiters {
		return s.malformed(malformed)
	}
	return true
}

// part looks at one part, if any parser could give it the name of a field.
func (f *formPlace) part(s *search, part *multipart.Part, value string) bool {
	for _, values := range part.Header {
		for _, value := range values {
			if strings.ContainsAny(value, "\r\x00") { // the end of a line to Werkzeug
				return s.malformed("a part of the multipart form has a header that cannot be read")
			}
		}
	}
	dispositions := part.Header["Content-Disposition"]
	if len(dispositions) == 0 { // Rack takes the name from elsewhere
		return s.guess(value)
	}
	named := len(dispositions) == 1 && isNamed(part.FormName(), f.fields)
	if !named && !f.mentionedIn(dispositions) {
		return true
	}
	if !plainPart(part.Header) {
		return s.malformed("the token's part of the multipart form is encoded")
	}
	if !named {
		return s.guess(value)
	}
	return s.token(value)
}

// mentionedIn says whether some parser could find the name of a field where
// another finds none: parsers differ in quotes, escapes, parameters that stand
// twice, and types other than form-data.
func (f *formPlace) mentionedIn(dispositions []string) bool {
	if len(dispositions) > 1 {
		return true
	}
	text := foldName(unquoted.Replace(unescape(dispositions[0], '+')))
	if strings.Contains(text, "=?") || strings.Contains(strings.ReplaceAll(text, "filename*", ""), "name*") {
		return true // RFC 2047, RFC 2231
	}
	for _, field := range f.fields {
		if strings.Contains(text, field) {
			return true
		}
	}
	return false
}

var unquoted = strings.NewReplacer(`\`, "", `"`, "", "'", "", "[", "_")

// plainPart says whether the value of a part is what every parser makes of it.
func plainPart(header textproto.MIMEHeader) bool {
	for _, encoding := range header["Content-Transfer-Encoding"] {
		if !strings.EqualFold(encoding, "7bit") && !strings.EqualFold(encoding, "8bit") && !strings.EqualFold(encoding, "binary") {
			return false
		}
	}
	for _, contentType := range header["Content-Type"] {
		if _, ok := plainCharset(contentType); !ok {
			return false
		}
	}
	return true
}
