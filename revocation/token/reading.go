package token

import (
	"bytes"
	"encoding/base64"
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
	payload, unescaped []byte
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
	return &reading{payload: make([]byte, 0, 4096), issuers: make([]string, 0, 4), values: make([]value, 0, maxTexts)}
}}

// maxKept bounds the buffers that are kept, in bytes.
const maxKept = 16 << 10

func (r *reading) forget() {
	clear(r.issuers)
	clear(r.values)
	r.issuers, r.values, r.unescaped, r.issued = r.issuers[:0], r.values[:0], r.unescaped[:0], issued{}
}

func (r *reading) release() {
	r.forget()
	if cap(r.payload)+cap(r.unescaped) <= maxKept {
		readings.Put(r)
	}
}

// read finds what matters in the payload.
func (n *Names) read(r *reading, payload string, kinds revocation.KindSet) (ok bool) {
	raw := bytes.TrimPrefix(r.decode(payload), []byte("\ufeff"))
	if known, fits := n.scan(r, raw, kinds); known {
		return fits
	}
	r.forget()
	claims, ok := members(raw)
	if !ok {
		// Python knows more numbers than JSON has.
		return !bytes.Contains(raw, []byte("NaN")) && !bytes.Contains(raw, []byte("Infinity"))
	}
	for _, m := range claims {
		if at := n.findFold(m.name); at >= 0 && !n.take(r, at, m.name, m.value, kinds) {
			return false
		}
	}
	return true
}

// decode reads the payload as [decode] does, into the buffer.
func (r *reading) decode(payload string) []byte {
	r.payload = slices.Grow(r.payload[:0], base64.RawURLEncoding.DecodedLen(len(payload)))
	b := r.payload[:cap(r.payload)]
	n, err := base64.RawURLEncoding.Decode(b, bytesOf(payload))
	if err != nil {
		return decode(payload)
	}
	return b[:n]
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
	if len(raw) > 1 && raw[0] == '"' && utf8.Valid(raw) {
		switch inner := raw[1 : len(raw)-1]; {
		case bytes.IndexByte(inner, '\\') < 0:
			return view(inner), true
		case !onlySlashes(inner):
		default:
			begin := len(r.unescaped)
			for _, c := range inner {
				if c != '\\' {
					r.unescaped = append(r.unescaped, c)
				}
			}
			return view(r.unescaped[begin:]), true
		}
	}
	if isNumber(raw) {
		return view(raw), true
	}
	return literal(json.RawMessage(raw))
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
