package caddymodule

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// However short max_staleness is, several heartbeats have to be late for a node to
// be stale.
func TestBeat(t *testing.T) {
	for staleness, want := range map[time.Duration]time.Duration{
		defaultMaxStaleness: time.Second,
		4 * time.Second:     time.Second,
		time.Second:         250 * time.Millisecond,
		minMaxStaleness:     125 * time.Millisecond,
	} {
		if got := (&App{MaxStaleness: caddy.Duration(staleness)}).beat(); got != want {
			t.Errorf("max_staleness %s: there is word every %s, want %s", staleness, got, want)
		}
	}
}
