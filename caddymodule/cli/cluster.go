package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// clusterState is what the admin API says of how a node stands to its cluster.
type clusterState struct {
	Level               bool             `json:"level"`
	Stale               bool             `json:"stale"`
	StalenessSeconds    *float64         `json:"staleness_seconds"`
	MaxStalenessSeconds float64          `json:"max_staleness_seconds"`
	LagSeconds          float64          `json:"lag_seconds"`
	Syncs               int64            `json:"syncs"`
	Snapshots           map[string]int64 `json:"snapshots"`
	Received            int64            `json:"received"`
	Repaired            int64            `json:"repaired"`
	Owed                int64            `json:"owed"`
	Lost                string           `json:"lost"`
	Warnings            []string         `json:"warnings"`
}

func (s *clusterState) rows() [][2]string {
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
		{"told everything", s.told()},
		{"received", humanize.Comma(s.Received)},
		{"repaired", humanize.Comma(s.Repaired)},
		{"owed", humanize.Comma(s.Owed)},
	}
	for _, warning := range s.Warnings {
		rows = append(rows, [2]string{"warning", plain(warning)})
	}
	return rows
}

// told is how often, and why, everything had to be told.
func (s *clusterState) told() string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(s.Snapshots)) {
		parts = append(parts, fmt.Sprintf("%s %s", humanize.Comma(s.Snapshots[reason]), plain(reason)))
	}
	if len(parts) == 0 {
		parts = []string{"never"}
	}
	return fmt.Sprintf("%s, in %s syncs", strings.Join(parts, ", "), humanize.Comma(s.Syncs))
}

func seconds(n float64) string {
	return time.Duration(n * float64(time.Second)).Round(time.Millisecond).String()
}
