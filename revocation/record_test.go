package revocation

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMerge(t *testing.T) {
	// All the records of one key that differ in one thing or more.
	var all []Record
	for i := range 1 << 8 {
		r := Record{Key: testKey(1), Revoked: t0, Expires: t0, By: "a", Reason: "a"}
		if i&1 != 0 {
			r.Expires = r.Expires.Add(time.Second)
		}
		if i&2 != 0 {
			r.Revoked = r.Revoked.Add(time.Millisecond)
		}
		if i&4 != 0 {
			r.By = "b"
		}
		if i&8 != 0 {
			r.Operator = true
		}
		if i&16 != 0 {
			r.IssuedBefore = t0.Add(time.Second)
		}
		r.Effect, r.Version = Effect(i>>5&3), uint64(i>>7)
		if r.Effect == effectCount {
			continue
		}
		all = append(all, r)
	}
	for _, a := range all {
		if Merge(a, a) != a {
			t.Errorf("not idempotent: %+v", a)
		}
		for _, b := range all {
			merged := Merge(a, b)
			if merged != Merge(b, a) {
				t.Errorf("not commutative: %+v, %+v", a, b)
			}
			for _, r := range []Record{a, b} {
				switch {
				case merged.Version < r.Version || merged.Version == r.Version && merged.Effect > r.Effect:
					t.Errorf("is not decided by the last decision: %+v, %+v", a, b)
				case merged.Version == r.Version && merged.Effect == r.Effect &&
					(merged.Expires.Before(r.Expires) || merged.IssuedBefore.Before(r.IssuedBefore)):
					t.Errorf("ends early: %+v, %+v", a, b)
				}
			}
			for _, c := range all {
				if Merge(Merge(a, b), c) != Merge(a, Merge(b, c)) {
					t.Errorf("not associative: %+v, %+v, %+v", a, b, c)
				}
			}
		}
	}
}

func TestNormal(t *testing.T) {
	r, err := Record{
		Key:     testKey(1),
		Revoked: t0.Add(1234567 * time.Nanosecond).In(time.FixedZone("", 3600)),
		Expires: t0.Add(time.Nanosecond),
	}.normal()
	if err != nil || !r.Revoked.Equal(t0.Add(time.Millisecond)) || !r.Expires.Equal(t0.Add(time.Second)) {
		t.Errorf("normal = %+v, %v", r, err)
	}
	again, err := r.normal()
	if err != nil || again != r {
		t.Errorf("normal = %+v, %v the second time", again, err)
	}
	r.Expires = MaxExpires.AddDate(1000, 0, 0)
	if r, err = r.normal(); err != nil || !r.Expires.Equal(MaxExpires) {
		t.Errorf("normal = %+v, %v", r, err)
	}
}

func TestParseRecordRefuses(t *testing.T) {
	r := Record{Key: testKey(1), Revoked: t0, Expires: t0, By: "client", Reason: "reason"}
	value := r.AppendValue(nil)
	if full := full.AppendValue(nil); value[0] != plainFormat || full[0] != fullFormat {
		t.Errorf("formats %d and %d", value[0], full[0])
	}
	for _, r := range []Record{r, full} {
		value := r.AppendValue(nil)
		if again, err := ParseRecord(r.Key, value); err != nil || again != r {
			t.Errorf("%+v was read as %+v, %v", r, again, err)
		}
		for n := range value {
			if _, err := ParseRecord(r.Key, value[:n]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("cut to %d bytes: %v", n, err)
			}
		}
	}
	const recordFixed = 1 + 8 + 8
	flags := len(full.AppendValue(nil)) - 8 - len("alice") - 1 - len("https://i") - 1 - 1 - 1
	long := r
	long.By = strings.Repeat("x", MaxText+1)
	for name, bad := range map[string][]byte{
		"a byte too many":     append(slices.Clone(value), 0),
		"another format":      append([]byte{fullFormat + 1}, value[1:]...),
		"an unknown flag":     change(full.AppendValue(nil), flags, 0x10),
		"an unknown effect":   change(full.AppendValue(nil), flags, byte(effectCount)|operatorFlag|issuedFlag),
		"a text that is long": long.AppendValue(nil),
		"a length of 2^64-1":  append(value[:recordFixed:recordFixed], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...),
		"an endless length":   append(value[:recordFixed:recordFixed], bytes.Repeat([]byte{0xff}, 20)...),
	} {
		if _, err := ParseRecord(r.Key, bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// full is a record of which every part is set.
var full = Record{
	Key: RuleKey(KindSubject, "https://i", "alice"), Revoked: t0, Expires: t0, By: "ops", Operator: true, Reason: "left",
	Issuer: "https://i", Value: "alice", IssuedBefore: t0, Effect: Count, Version: 3,
}

func change(b []byte, at int, to byte) []byte {
	b[at] = to
	return b
}

func TestKeysSortAsTheirBytes(t *testing.T) {
	keys := make([]Key, 1000)
	for i := range keys {
		keys[i] = testKey(uint64(i))
		keys[i].Kind = Kind(rand.IntN(4))
	}
	slices.SortFunc(keys, Key.Compare)
	encoded := slices.Collect(func(yield func([]byte) bool) {
		for _, k := range keys {
			if b := k.Bytes(); !yield(b[:]) {
				return
			}
		}
	})
	if !slices.IsSortedFunc(encoded, bytes.Compare) {
		t.Error("Compare and Bytes disagree")
	}
}

// No text of a key gives more of the digest away than its first six bytes.
func TestKeyText(t *testing.T) {
	k := testKey(1)
	if got, want := k.String(), "token "+k.Prefix(); got != want || len(k.Prefix()) != 12 {
		t.Errorf("String = %q, want %q", got, want)
	}
}

func FuzzParseRecord(f *testing.F) {
	r := Record{Key: testKey(1), Revoked: t0, Expires: t0, By: "client", Reason: "reason"}
	f.Add(r.AppendValue(nil))
	f.Add([]byte{})
	f.Add([]byte{plainFormat})
	f.Add(full.AppendValue(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(testKey(1), b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("ParseRecord = %v, want ErrCorrupt", err)
			}
			return
		}
		again, err := ParseRecord(r.Key, r.AppendValue(nil))
		if err != nil || again != r {
			t.Errorf("%+v was read again as %+v, %v", r, again, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("digest"), uint8(1), int64(1767323045_000), int64(1767323045), "client", "reason")
	f.Add([]byte{}, uint8(255), int64(-1), int64(-1), "\xff\x00", strings.Repeat("x", MaxText))
	f.Fuzz(func(t *testing.T, digest []byte, kind uint8, revoked, expires int64, by, reason string) {
		r := Record{Key: Key{Kind: Kind(kind)}, Revoked: time.UnixMilli(revoked), Expires: time.Unix(expires, 0), By: by, Reason: reason}
		copy(r.Key.Digest[:], digest)
		r, err := r.normal()
		if err != nil {
			return
		}
		encoded := r.Key.Bytes()
		k, err := ParseKey(encoded[:])
		if err != nil || k != r.Key {
			t.Errorf("key %v was read again as %v, %v", r.Key, k, err)
		}
		again, err := ParseRecord(k, r.AppendValue(nil))
		if err != nil || !again.Revoked.Equal(r.Revoked) || !again.Expires.Equal(r.Expires) || again.By != r.By || again.Reason != r.Reason {
			t.Errorf("%+v was read again as %+v, %v", r, again, err)
		}
	})
}
