package token

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// issued is when a token was issued, as its readers see it.
type issued struct {
	earliest      time.Time
	there, unsure bool
}

// see takes in a claim iat, in whichever case it is written.
func (i *issued) see(exactly bool, value []byte) {
	at, ok := instant(value)
	if !ok {
		i.unsure = true
		return
	}
	if i.earliest.IsZero() || at.Before(i.earliest) {
		i.earliest = at
	}
	i.there = i.there || exactly
}

// time is the earliest that some reader could see. It is zero where some reader
// could see none: a token of any age must not pass for a late one.
func (i *issued) time() time.Time {
	if !i.there || i.unsure {
		return time.Time{}
	}
	return i.earliest
}

// instant reads a JSON number of seconds since 1970 (RFC 7519 §2, NumericDate),
// with all its fraction down to the nanosecond. It answers false for any other
// value, and for times that no clock shows: what comes in milliseconds, say.
func instant(value []byte) (time.Time, bool) {
	text := string(value)
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	nanos, ok := nanoseconds(fraction)
	if err != nil || !ok { // an exponent, perhaps
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.Abs(f) > maxSeconds {
			return time.Time{}, false
		}
		return time.UnixMicro(int64(math.Floor(f * 1e6))), isNumber(value)
	}
	if seconds < 0 || text[0] == '-' {
		nanos = -nanos
	}
	if math.Abs(float64(seconds)) > maxSeconds {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos), isNumber(value)
}

// nanoseconds reads the digits behind a decimal point.
func nanoseconds(fraction string) (int64, bool) {
	var digits [9]byte
	for i := range digits {
		digits[i] = '0'
	}
	for i := range len(fraction) {
		if c := fraction[i]; c < '0' || c > '9' {
			return 0, false
		}
	}
	copy(digits[:], fraction)
	n, err := strconv.ParseInt(string(digits[:]), 10, 64)
	return n, err == nil
}
