package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestInstant(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 123_456_789, time.UTC)
	for text, want := range map[string]time.Time{
		`""`:                               {},
		`"now"`:                            now,
		`" now "`:                          now,
		`"5m ago"`:                         now.Add(-5 * time.Minute),
		`"1h30m ago"`:                      now.Add(-90 * time.Minute),
		`"30d ago"`:                        now.Add(-30 * 24 * time.Hour),
		`"0s ago"`:                         now,
		`"in 30d"`:                         now.Add(30 * 24 * time.Hour),
		`"in 1.5d"`:                        now.Add(36 * time.Hour),
		`"2026-11-22T05:00:00+01:00"`:      now.Truncate(time.Second),
		`"2026-11-22T04:00:00.123456789Z"`: now,
		`1700000000`:                       time.Unix(1700000000, 0),
		`"1700000000"`:                     time.Unix(1700000000, 0),
		`0`:                                time.Unix(0, 0),
		`253402300799`:                     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		var m moment
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := m.at(now); err != nil || !got.Equal(want) || !got.IsZero() && got.Location() != time.UTC {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"soon", "5m", "ago", " ago", "in", "in ", "in -5m", "-5m ago", "in 5", "5 ago", "5m  5m ago", "in in 5m", "now ago",
		"-1", "253402300800", "9223372036854775807", "99999999999999999999", "1700000000000", "1e9", "1.5", "0x10",
		"2026-11-22", "2026-11-22 04:00:00", "2026-11-22T04:00:00", "2026-13-22T04:00:00Z", "1969-12-31T23:59:59Z",
		"in 106752d", "in 999999999999d", "in NaNd", "in Infd", "in 1e5d", "9999999h ago", "in " + strings.Repeat("1d", 40),
	} {
		got, err := moment(text).at(now)
		if err == nil {
			t.Errorf("%q: %s", text, got)
		} else if strings.Contains(err.Error(), "1700000000000") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"true", "{}", "[]", `{"a":1}`} {
		var m moment
		if json.Unmarshal([]byte(text), &m) == nil {
			t.Errorf("%s: %s", text, m)
		}
	}
}
