package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// clusterRows are what the admin API says of how a node stands to its cluster.
func clusterRows(s *operator.Cluster) [][2]string {
	level := "level"
	switch {
	case s.Stale:
		level = "stale"
	case !s.Level:
		level = "away"
	}
	if s.Lost != "" {
		level += ": " + plain(s.Lost)
	}
	word := "none yet"
	if s.StalenessSeconds != nil {
		word = fmt.Sprintf("%s ago, and may be %s; it took %s", seconds(*s.StalenessSeconds), seconds(s.MaxStalenessSeconds), seconds(s.LagSeconds))
	}
	rows := [][2]string{
		{"cluster", level},
		{"last word", word},
		{"told everything", told(s)},
		{"received", humanize.Comma(int64(s.Received))},
		{"repaired", humanize.Comma(int64(s.Repaired))},
		{"owed", humanize.Comma(int64(s.Owed))},
	}
	for _, warning := range s.Warnings {
		rows = append(rows, [2]string{"warning", plain(warning)})
	}
	return rows
}

// told is how often, and why, everything had to be told.
func told(s *operator.Cluster) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(s.Snapshots)) {
		parts = append(parts, fmt.Sprintf("%s %s", humanize.Comma(int64(s.Snapshots[reason])), plain(reason)))
	}
	if len(parts) == 0 {
		parts = []string{"never"}
	}
	return fmt.Sprintf("%s, in %s syncs", strings.Join(parts, ", "), humanize.Comma(int64(s.Syncs)))
}

func seconds(n float64) string {
	return time.Duration(n * float64(time.Second)).Round(time.Millisecond).String()
}
