package token

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// headerForm says what the first segment of a token announces, and whether it is
// in canonical writing. A JOSE header is a JSON object, with "enc" in a JWE and
// with "alg" in both (RFC 7516 §9).
func headerForm(segment string) (form Form, asIssued bool) {
	// All tokens that an issuer signs with one key have the same header.
	seen := seenAt(segment)
	if h := seen.Load(); h != nil && h.segment == segment {
		return h.form, h.asIssued
	}
	form, asIssued = readHeader(segment), isCanonical(segment)
	if form != Opaque && len(segment) <= maxSeenHeader {
		if kids, ok := kidsIn(decode(segment)); ok {
			seen.Store(&seenHeader{strings.Clone(segment), form, asIssued, kids})
		}
	}
	return form, asIssued
}

// headerKids are the names of keys (kid, RFC 7515 §4.1.4) in an encoded header.
// The list is not to be changed. It answers false where readers could find others.
func headerKids(segment string) (kids []string, ok bool) {
	if h := seenAt(segment).Load(); h != nil && h.segment == segment {
		return h.kids, true
	}
	return kidsIn(decode(segment))
}

// almostHeader says whether what is no header of a JWS could be one to a reader who
// does not mind the case of names, or knows more than JSON: other numbers, other
// quotes, comments, and encodings in which every other byte is zero.
func almostHeader(segment string) bool {
	b := decode(segment)
	if bytes.IndexByte(b, '{') < 0 {
		return false
	}
	if list, ok := members(b); ok {
		return slices.ContainsFunc(list, func(m member) bool { return strings.EqualFold(m.name, "alg") })
	}
	wide := bytes.IndexByte(b[:min(len(b), 4)], 0) >= 0
	if json.Valid(b) || !wide && !utf8.Valid(b) { // as is what stands before a header in a list of tokens
		return false
	}
	b, ok := almostObject(b)
	return ok && (bytes.Contains(b, []byte("alg")) || bytes.Contains(b, []byte(`\u006`)))
}

// almostObject says whether what is no JSON could be an object to some reader, and
// returns it without zeros.
func almostObject(b []byte) (plain []byte, ok bool) {
	b = bytes.ReplaceAll(b, []byte{0}, nil)
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		b = bytes.TrimPrefix(b, []byte(mark))
	}
	b = bytes.TrimLeft(b, " \t\r\n")
	return b, bytes.IndexByte(b, '{') >= 0 && strings.IndexByte("{/#)", b[0]) >= 0
}

func seenAt(segment string) *atomic.Pointer[seenHeader] {
	return &headers[maphash.String(headersSeed, segment)%uint64(len(headers))]
}

// headers remembers what the last headers of tokens were.
var (
	headers     [64]atomic.Pointer[seenHeader]
	headersSeed = maphash.MakeSeed()
)

type seenHeader struct {
	segment  string
	form     Form
	asIssued bool
	kids     []string
}

const maxSeenHeader = 1024

func readHeader(segment string) Form {
	if before, _, ok := strings.Cut(segment, "="); ok && behindPadding(segment) {
		if form := readHeader(before); form != Opaque {
			return form
		}
	}
	header := decode(segment)
	if form, ok := scanHeader(header); ok {
		return form
	}
	return parseHeader(header)
}

// scanHeader reads the common header, an object of plain strings, without
// allocating. It answers false where a real parser is needed.
func scanHeader(b []byte) (Form, bool) {
	if len(b) == 0 || b[0] != '{' {
		return Opaque, len(b) > 0 && b[0] > ' '
	}
	form, i := Opaque, 1
	for {
		name, next := plainString(b, i)
		if next < 0 || next >= len(b) || b[next] != ':' {
			return Opaque, false
		}
		_, next2 := plainString(b, next+1)
		if next2 < 0 || next2 >= len(b) {
			return Opaque, false
		}
		form = max(form, memberForm(name))
		switch b[next2] {
		case ',':
			i = next2 + 1
		case '}':
			return form, next2 == len(b)-1
		default:
			return Opaque, false
		}
	}
}

// plainString reads a JSON string without escapes that begins at i, and returns
// the position behind it, or -1.
func plainString(b []byte, i int) (string []byte, next int) {
	if i >= len(b) || b[i] != '"' {
		return nil, -1
	}
	for j := i + 1; j < len(b); j++ {
		switch c := b[j]; {
		case c == '"':
			return b[i+1 : j], j + 1
		case c == '\\' || c < ' ' || c >= 0x7f:
			return nil, -1
		}
	}
	return nil, -1
}

func memberForm(name []byte) Form {
	switch string(name) {
	case "alg":
		return JWS
	case "enc":
		return JWE
	}
	return Opaque
}

// parseHeader reads any header. Whatever stands behind it does not matter, as it
// does not to Jackson.
func parseHeader(b []byte) (form Form) {
	list, ok := members(b)
	if !ok {
		return Opaque
	}
	for _, m := range list {
		form = max(form, memberForm([]byte(m.name)))
	}
	return form
}
