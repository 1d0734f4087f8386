package revocation

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// MaxText bounds each text of a [Record], in bytes.
const MaxText = 1024

// MaxExpires is the latest end that a record can have; later ones are cut to it.
var MaxExpires = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Record is one revocation.
type Record struct {
	// Key is what is revoked.
	Key Key
	// Revoked is when, to the millisecond.
	Revoked time.Time
	// Expires is until when it matters, to the second, rounded up. A record is
	// live until Expires plus the denylist's leeway.
	Expires time.Time
	// By is the client_id of the client that asked for it; at most MaxText bytes.
	By string
	// Reason says why, for people; at most MaxText bytes.
	Reason string
}

// Merge returns the record that stands for both of two records of one key: the
// first revocation with the later end, so that no repeat, reordering or race can
// end a revocation early. It is commutative, associative and idempotent.
func Merge(a, b Record) Record {
	merged, other := a, b
	if cmp.Or(
		a.Revoked.Compare(b.Revoked),
		strings.Compare(a.By, b.By),
		strings.Compare(a.Reason, b.Reason),
	) > 0 {
		merged, other = b, a
	}
	if other.Expires.After(merged.Expires) {
		merged.Expires = other.Expires
	}
	return merged
}

// normal gives a record the precision and the bounds that its encoding keeps.
func (r Record) normal() (Record, error) {
	if len(r.By) > MaxText || len(r.Reason) > MaxText {
		return Record{}, fmt.Errorf("%w: a text of more than %d bytes", ErrInvalid, MaxText)
	}
	if r.Key.Kind == 0 {
		return Record{}, fmt.Errorf("%w: a key without a kind", ErrInvalid)
	}
	r.Revoked = time.UnixMilli(r.Revoked.UnixMilli()).UTC()
	if r.Expires.After(MaxExpires) {
		r.Expires = MaxExpires
	}
	seconds := r.Expires.Unix()
	if r.Expires.Nanosecond() > 0 {
		seconds++
	}
	r.Expires = time.Unix(seconds, 0).UTC()
	return r, nil
}

// live says whether the record still matters at the time now.
func (r *Record) live(now time.Time, leeway time.Duration) bool {
	return now.Before(r.Expires.Add(leeway))
}

// recordFormat is the first byte of an encoded record. A format that a version
// does not know is an error to it, and so a refusal: never a pass.
const recordFormat = 1

const recordFixed = 1 + 8 + 8

// AppendValue appends the encoded record without its key: the format, Revoked
// in Unix milliseconds and Expires in Unix seconds, both big-endian, then By
// and Reason, each behind its length as a uvarint.
func (r *Record) AppendValue(b []byte) []byte {
	b = append(b, recordFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Revoked.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Expires.Unix()))
	for _, text := range [...]string{r.By, r.Reason} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}

// ParseRecord reads what [Record.AppendValue] wrote under the key. The error
// is [ErrCorrupt].
func ParseRecord(key Key, b []byte) (Record, error) {
	if len(b) < recordFixed || b[0] != recordFormat {
		return Record{}, fmt.Errorf("%w: record %s has an unknown format", ErrCorrupt, key)
	}
	r := Record{
		Key:     key,
		Revoked: time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:]))).UTC(),
		Expires: time.Unix(int64(binary.BigEndian.Uint64(b[9:])), 0).UTC(),
	}
	rest := b[recordFixed:]
	for _, text := range [...]*string{&r.By, &r.Reason} {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > MaxText || uint64(len(rest)-size) < n {
			return Record{}, fmt.Errorf("%w: record %s is cut off", ErrCorrupt, key)
		}
		*text = string(rest[size : size+int(n)])
		rest = rest[size+int(n):]
	}
	if len(rest) > 0 {
		return Record{}, fmt.Errorf("%w: record %s has %d bytes too many", ErrCorrupt, key, len(rest))
	}
	return r, nil
}

// Compare orders keys as their bytes do, which is the order of [Store.Scan].
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Kind, other.Kind), bytes.Compare(k.Digest[:], other.Digest[:]))
}
