package caddymodule

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// moment is a time as people write it: in RFC 3339; in Unix seconds; "now"; or as
// a duration before or after that, such as "5m ago" and "in 30d". Empty is none.
type moment string

// UnmarshalJSON takes a string or a number.
func (m *moment) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*m = moment(text)
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(b, &number); err != nil {
		return err
	}
	*m = moment(number)
	return nil
}

var errInstant = errors.New(`must be a time from 1970 to 9999: in RFC 3339, in Unix seconds, "now", or such as "5m ago" or "in 30d"`)

// maxInstant bounds what is parsed, in bytes.
const maxInstant = 64

// at is the time that is meant, or zero if none is; the error does not repeat it.
func (m moment) at(now time.Time) (time.Time, error) {
	text := strings.TrimSpace(string(m))
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := time.Time{}, false
	if len(text) <= maxInstant {
		t, ok = parseInstant(text, now)
	}
	if !ok || t.Before(time.Unix(0, 0)) || t.After(revocation.MaxExpires) {
		return time.Time{}, errInstant
	}
	return t.UTC(), nil
}

func parseInstant(text string, now time.Time) (t time.Time, ok bool) {
	if text == "now" {
		return now, true
	}
	if before, ok := strings.CutSuffix(text, " ago"); ok {
		d, ok := parseSpan(before)
		return now.Add(-d), ok
	}
	if after, ok := strings.CutPrefix(text, "in "); ok {
		d, ok := parseSpan(after)
		return now.Add(d), ok
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), seconds <= revocation.MaxExpires.Unix() // later ones would overflow
	}
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}

// parseSpan reads a duration that is not negative, with days, as Caddy does.
func parseSpan(text string) (time.Duration, bool) {
	d, err := caddy.ParseDuration(strings.TrimSpace(text))
	return d, err == nil && d >= 0
}
