package revocation

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The first byte of an encoded record. A format that a version does not know is
// an error to it, and so a refusal: never a pass. Most records need no more than
// the plain one, which earlier versions can read.
const (
	plainFormat = 1
	fullFormat  = 2
)

// Flags of the full format, above the effect.
const (
	effectMask   = 0x03
	operatorFlag = 0x04
	issuedFlag   = 0x08
	flagMask     = effectMask | operatorFlag | issuedFlag
)

// AppendValue appends the encoded record without its key: the format, Revoked
// in Unix milliseconds and Expires in Unix seconds, both big-endian, then By
// and Reason, each behind its length as a uvarint. The full format goes on with
// flags, Version as a uvarint, Issuer, Value, and IssuedBefore in Unix
// milliseconds if it is not zero.
func (r *Record) AppendValue(b []byte) []byte {
	format := byte(fullFormat)
	if r.plain() {
		format = plainFormat
	}
	b = append(b, format)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Revoked.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Expires.Unix()))
	b = appendText(b, r.By)
	b = appendText(b, r.Reason)
	if format == plainFormat {
		return b
	}
	flags := byte(r.Effect)
	if r.Operator {
		flags |= operatorFlag
	}
	if !r.IssuedBefore.IsZero() {
		flags |= issuedFlag
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, r.Version)
	b = appendText(b, r.Issuer)
	b = appendText(b, r.Value)
	if flags&issuedFlag != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(r.IssuedBefore.UnixMilli()))
	}
	return b
}

// AppendEntry appends a key and, behind its length as a uvarint, an encoded record or
// nothing: so records follow one another in a message, and in a journal.
func AppendEntry[T string | []byte](b []byte, key Key, value T) []byte {
	k := key.Bytes()
	b = append(b, k[:]...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// CutEntry takes from the front of b what [AppendEntry] has appended; the error is
// [ErrCorrupt].
func CutEntry(b []byte) (key Key, value, rest []byte, err error) {
	if len(b) < KeySize {
		return key, nil, nil, fmt.Errorf("%w: a key that is cut off", ErrCorrupt)
	}
	if key, err = ParseKey(b[:KeySize]); err != nil {
		return key, nil, nil, err
	}
	b = b[KeySize:]
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return key, nil, nil, fmt.Errorf("%w: a record that is cut off", ErrCorrupt)
	}
	end := size + int(n)
	return key, b[size:end], b[end:], nil
}

func (r *Record) plain() bool {
	return r.Effect == Refuse && r.Version == 0 && !r.Operator && r.Issuer == "" && r.Value == "" && r.IssuedBefore.IsZero()
}

func (r *Record) texts() [4]*string { return [...]*string{&r.By, &r.Reason, &r.Issuer, &r.Value} }

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// ParseRecord reads what [Record.AppendValue] wrote under the key. The error
// is [ErrCorrupt].
func ParseRecord(key Key, b []byte) (Record, error) {
	if len(b) == 0 || b[0] != plainFormat && b[0] != fullFormat {
		return Record{}, fmt.Errorf("%w: record %s has an unknown format", ErrCorrupt, key)
	}
	d := decoder{rest: b[1:]}
	r := Record{
		Key:     key,
		Revoked: time.UnixMilli(int64(d.uint64())).UTC(),
		Expires: time.Unix(int64(d.uint64()), 0).UTC(),
		By:      d.text(),
		Reason:  d.text(),
	}
	if b[0] == fullFormat {
		flags := d.byte()
		r.Effect, r.Operator = Effect(flags&effectMask), flags&operatorFlag != 0
		r.Version = d.uvarint()
		r.Issuer, r.Value = d.text(), d.text()
		if flags&issuedFlag != 0 {
			r.IssuedBefore = time.UnixMilli(int64(d.uint64())).UTC()
		}
		d.bad = d.bad || flags&^flagMask != 0 || r.Effect >= effectCount
	}
	switch {
	case d.bad:
		return Record{}, fmt.Errorf("%w: record %s is cut off or damaged", ErrCorrupt, key)
	case len(d.rest) > 0:
		return Record{}, fmt.Errorf("%w: record %s has %d bytes too many", ErrCorrupt, key, len(d.rest))
	}
	return r, nil
}

// decoder reads from the front of what is left. Once bad, it stays so.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.bad = true
		return 0
	}
	d.take(uint64(size))
	return n
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > MaxText {
		d.bad = true
	}
	return string(d.take(n))
}
