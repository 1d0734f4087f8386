package revocation

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxText bounds each text of a [Record], in bytes.
const MaxText = 1024

// maxVersion bounds [Record.Version], so that there is always a later one.
const maxVersion = 1 << 48

// MaxExpires is the latest end that a record can have; later ones are cut to it.
var MaxExpires = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Effect is what a record does to the tokens that it is about.
type Effect uint8

// The effects. Their numbers stand in files and never change; of two records
// that contradict each other, the one with the smaller number counts.
const (
	Refuse   Effect = 0 // they are refused
	Count    Effect = 1 // a dry run: they pass, and are counted
	Restored Effect = 2 // a revocation was taken back: they pass

	effectCount = 3
)

var effectNames = [effectCount]string{"refuse", "count", "restored"}

// String names the effect as it appears in logs.
func (e Effect) String() string {
	if e < effectCount {
		return effectNames[e]
	}
	return fmt.Sprintf("effect %d", uint8(e))
}

// ParseEffect is the effect with a name; the error is [ErrInvalid].
func ParseEffect(name string) (Effect, error) {
	if i := slices.Index(effectNames[:], name); i >= 0 {
		return Effect(i), nil
	}
	return 0, fmt.Errorf("%w: there is no such effect", ErrInvalid)
}

// Record is one revocation, or that one was taken back.
type Record struct {
	// Key is what is revoked.
	Key Key
	// Revoked is when, to the millisecond; of a record that was restored, when
	// that was.
	Revoked time.Time
	// Expires is until when it matters, to the second, rounded up. A record is
	// live until Expires plus the denylist's leeway.
	Expires time.Time
	// By is the client_id of the client that asked for it, or the name of the
	// operator; at most MaxText bytes.
	By string
	// Operator says that By is an operator and no client.
	Operator bool
	// Reason says why, for people; at most MaxText bytes.
	Reason string

	// Issuer and Value are what the key of a rule was made of (see [RuleKey]), for
	// people. Of a token, Issuer is whose it is, if that was known, and of a session
	// that a client has ended Value is empty. Each at most MaxText bytes.
	Issuer, Value string
	// IssuedBefore is the time at or before which a token must have been issued to
	// be revoked by a rule of a kind for which that matters, to the millisecond;
	// else zero.
	IssuedBefore time.Time

	// Effect is what becomes of the tokens.
	Effect Effect
	// Version counts how often the decision about a key was reversed, or made anew
	// after it had ended.
	Version uint64
}

// Merge returns the record that stands for both of two records of one key: the
// one with the higher version; of one version, the one that refuses; and of two
// that agree, the first revocation with the later IssuedBefore. It has the later
// end of both: no repeat, reordering or race can end a revocation early, nor a
// restoration before what it took back. It is commutative, associative and
// idempotent.
func Merge(a, b Record) Record {
	switch order := cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(b.Effect, a.Effect)); {
	case order > 0:
		a.Expires = later(a.Expires, b.Expires)
		return a
	case order < 0:
		b.Expires = later(a.Expires, b.Expires)
		return b
	}
	merged, other := a, b
	if cmp.Or(
		a.Revoked.Compare(b.Revoked),
		strings.Compare(a.By, b.By),
		strings.Compare(a.Reason, b.Reason),
		compareBool(a.Operator, b.Operator),
	) > 0 {
		merged, other = b, a
	}
	merged.Expires = later(merged.Expires, other.Expires)
	merged.IssuedBefore = later(merged.IssuedBefore, other.IssuedBefore)
	merged.Issuer = max(merged.Issuer, other.Issuer)
	merged.Value = max(merged.Value, other.Value)
	return merged
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Validate says whether the record can be stored: nil or [ErrInvalid].
func (r Record) Validate() error {
	_, err := r.normal()
	return err
}

// normal gives a record the precision and the bounds that its encoding keeps.
func (r Record) normal() (Record, error) {
	for _, text := range r.texts() {
		if len(*text) > MaxText {
			return Record{}, fmt.Errorf("%w: a text of more than %d bytes", ErrInvalid, MaxText)
		}
	}
	switch {
	case r.Key.Kind == 0 || r.Key.Kind >= kindCount:
		return Record{}, fmt.Errorf("%w: a key without a kind", ErrInvalid)
	case r.Effect >= effectCount:
		return Record{}, fmt.Errorf("%w: %s does not exist", ErrInvalid, r.Effect)
	case r.Key.Kind == KindUsed && r.Effect != Refuse:
		return Record{}, fmt.Errorf("%w: that something was used cannot be reversed", ErrInvalid)
	case r.Version > maxVersion:
		return Record{}, fmt.Errorf("%w: a version beyond any", ErrInvalid)
	case r.Key.Kind.IssuedBefore() != !r.IssuedBefore.IsZero():
		return Record{}, fmt.Errorf("%w: tokens have to be issued before some time for a rule by subject, client, key or issuer, and no other", ErrInvalid)
	case !r.named():
		return Record{}, fmt.Errorf("%w: the key is not that of the %s", ErrInvalid, r.Key.Kind)
	}
	r.Revoked = time.UnixMilli(r.Revoked.UnixMilli()).UTC()
	if !r.IssuedBefore.IsZero() {
		r.IssuedBefore = time.UnixMilli(r.IssuedBefore.UnixMilli()).UTC()
	}
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

// named says whether a rule says what it is about, and truly. Sessions that
// clients have ended need not.
func (r *Record) named() bool {
	kind := r.Key.Kind
	if !kind.Rule() || kind == KindSession && r.Value == "" {
		return true
	}
	return RuleKey(kind, r.Issuer, r.Value) == r.Key
}

// live says whether the record still matters at the time now.
func (r *Record) live(now time.Time, leeway time.Duration) bool {
	return now.Before(r.Expires.Add(leeway))
}

// covers says whether a token that was issued at a time is one of those that the
// record is about. One that does not say when (zero) always is.
func (r *Record) covers(issued time.Time) bool {
	return !r.Key.Kind.IssuedBefore() || issued.IsZero() || !issued.After(r.IssuedBefore)
}

// Compare orders keys as their bytes do, which is the order of [Store.Scan].
func (k Key) Compare(other Key) int {
	if k.Kind != other.Kind {
		return cmp.Compare(k.Kind, other.Kind)
	}
	return bytes.Compare(k.Digest[:], other.Digest[:])
}
