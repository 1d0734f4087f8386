package token

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// reading is what was found in a token. Its texts are part of the buffers, and so
// are nothing once it is released.
type reading struct {
	payload, unescaped []byte // room for the one, and what there is of the other
	issuers            []string
	values             []value
	issued             issued
}

// value is the text of a claim, by the number of its name.
type value struct {
	at   int
	text string
}

var readings = sync.Pool{New: func() any {
	return &reading{payload: make([]byte, maxKept), issuers: make([]string, 0, 4), values: make([]value, 0, maxTexts)}
}}

// maxKept bounds each of the buffers that are kept, in bytes: longer tokens cost
// an allocation.
const maxKept = 8 << 10

func (r *reading) forget() {
	clear(r.issuers)
	clear(r.values)
	r.issuers, r.values, r.unescaped, r.issued = r.issuers[:0], r.values[:0], r.unescaped[:0], issued{}
}

func (r *reading) release() {
	r.forget()
	if cap(r.unescaped) <= maxKept {
		readings.Put(r)
	}
}

// read finds what matters in the payload.
func (n *Names) read(r *reading, payload string, kinds revocation.KindSet) (ok bool) {
	raw := bytes.TrimPrefix(decodeInto(r.payload, payload), []byte("\ufeff"))
	if known, fits := n.scan(r, raw, kinds); known {
		return fits
	}
	r.forget()
	claims, ok := members(raw)
	if !ok {
		// Some readers know more than JSON: other numbers (Python), other encodings
		// (Python), other quotes and comments (Gson, and so Nimbus).
		_, almost := almostObject(raw)
		return !almost
	}
	for _, m := range claims {
		if at := n.findFold(m.name); at >= 0 && !n.take(r, at, m.name, m.value, kinds) {
			return false
		}
	}
	return true
}

// take takes in the value of a claim. It answers false where there are too many.
func (n *Names) take(r *reading, at int, name string, raw []byte, kinds revocation.KindSet) bool {
	if at == atIssued {
		r.issued.see(name == issuedClaim, raw)
	}
	matters := n.any[at]&kinds != 0
	if at != atIssuer && !matters {
		return true
	}
	text, ok := r.text(raw)
	if !ok {
		return true
	}
	if at == atIssuer && text != "" && !slices.Contains(r.issuers, text) {
		r.issuers = append(r.issuers, text)
	}
	if v := (value{at, text}); matters && !slices.Contains(r.values, v) {
		r.values = append(r.values, v)
	}
	return len(r.issuers) <= maxTexts && len(r.values) <= maxTexts
}

// text is the text of a JSON string, or of a number as it is written.
func (r *reading) text(raw []byte) (string, bool) {
	switch {
	case raw[0] != '"' && isNumber(raw):
		return view(raw), true
	case raw[0] != '"' || !utf8.Valid(raw):
		return literal(json.RawMessage(raw))
	}
	inner := raw[1 : len(raw)-1]
	switch escape := bytes.IndexByte(inner, '\\'); {
	case escape < 0:
		return view(inner), true
	case !onlySlashes(inner[escape:]):
		return literal(json.RawMessage(raw))
	}
	begin := len(r.unescaped)
	for _, c := range inner {
		if c != '\\' {
			r.unescaped = append(r.unescaped, c)
		}
	}
	return view(r.unescaped[begin:]), true
}

// onlySlashes says whether all that is escaped in a text is the slash, as PHP
// does it in every URL.
func onlySlashes(inner []byte) bool {
	for {
		i := bytes.IndexByte(inner, '\\')
		switch {
		case i < 0:
			return true
		case i+1 == len(inner) || inner[i+1] != '/':
			return false
		}
		inner = inner[i+2:]
	}
}

// view is b without a copy, as long as b is not changed.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
