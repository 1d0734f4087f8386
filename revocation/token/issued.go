package token

import (
	"math"
	"strconv"
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
	seconds, n := leadingInt(value)
	switch {
	case n == len(value) && n > 0:
		return time.Unix(seconds, 0), float64(seconds) <= maxSeconds
	case !isNumber(value):
		return time.Time{}, false
	case n > 0 && value[n] == '.' && n+1+digits(value[n+1:]) == len(value):
		return time.Unix(seconds, nanoseconds(value[n+1:])), float64(seconds) <= maxSeconds
	}
	f, err := strconv.ParseFloat(string(value), 64) // with a sign, or an exponent
	if err != nil || math.Abs(f) > maxSeconds {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(math.Floor(f * 1e6))), true
}

// leadingInt reads the digits with which b begins, and says how many they are; of
// more than a time in seconds has, none.
func leadingInt(b []byte) (value int64, n int) {
	n = digits(b)
	if n > 12 {
		return 0, 0
	}
	for _, c := range b[:n] {
		value = 10*value + int64(c-'0')
	}
	return value, n
}

// nanoseconds reads the digits behind a decimal point.
func nanoseconds(fraction []byte) (n int64) {
	for i := range 9 {
		n *= 10
		if i < len(fraction) {
			n += int64(fraction[i] - '0')
		}
	}
	return n
}
