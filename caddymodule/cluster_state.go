package caddymodule

import "time"

// clusterState is how a node stands to its cluster.
type clusterState struct {
	// Level is whether all that the cluster knows comes in right now.
	Level bool `json:"level"`
	// Stale is whether there was no word yet, or none within MaxStalenessSeconds.
	Stale bool `json:"stale"`
	// StalenessSeconds is how old what the node knows of the cluster may be: all
	// that was known there so long ago, it knows. Absent until there was word.
	StalenessSeconds    *float64 `json:"staleness_seconds,omitempty"`
	MaxStalenessSeconds float64  `json:"max_staleness_seconds"`
	// LagSeconds is how long the last word was under way.
	LagSeconds float64 `json:"lag_seconds"`
	// Syncs is how often the node has begun to listen, and Snapshots how often, by
	// reason, it had to be told everything.
	Syncs     int            `json:"syncs"`
	Snapshots map[string]int `json:"snapshots"`
	// Received is how many records came in, this node's own included.
	Received int `json:"received"`
	// Repaired is how many records the cluster lacked and was sent by this node.
	Repaired int `json:"repaired"`
	// Owed is how many records did not reach the cluster, and will be sent again.
	Owed int `json:"owed"`
	// Lost is why the node is not level.
	Lost string `json:"lost,omitempty"`
	// Warnings are settings of the engine with which it cannot keep its promises.
	Warnings []string `json:"warnings"`
}

func (a *App) clusterState() *clusterState {
	if a.member == nil {
		return nil
	}
	s := &clusterState{
		Stale: !a.fresh(), MaxStalenessSeconds: time.Duration(a.MaxStaleness).Seconds(),
		Snapshots: map[string]int{}, Warnings: []string{},
	}
	node := a.member.node.Load()
	if node == nil {
		return s
	}
	now := node.State()
	s.Level, s.Lost, s.LagSeconds, s.Syncs = now.Level, now.Lost, now.Lag.Seconds(), now.Syncs
	s.Received, s.Repaired, s.Owed, s.Warnings = now.Received, now.Repaired, now.Owed, append(s.Warnings, now.Warnings...)
	s.Snapshots = now.Snapshots
	if now.Word {
		seconds := now.Staleness.Seconds()
		s.StalenessSeconds = &seconds
	}
	return s
}

// standing adds to the readiness of a node how it stands to its cluster.
func (a *App) standing(is *readiness) {
	s := a.clusterState()
	switch {
	case s == nil:
		return
	case s.Stale && a.WhenUnavailable == allowStale:
		is.Degraded = append(is.Degraded, degradedStale)
	case s.Stale:
		is.Ready, is.Reasons = false, append(is.Reasons, reasonStale)
	case !s.Level:
		is.Degraded = append(is.Degraded, degradedAway)
	}
	if len(s.Warnings) > 0 {
		is.Degraded = append(is.Degraded, degradedSettings)
	}
}

const (
	reasonStale = "stale" // there was no word from the cluster yet, or none for longer than max_staleness

	degradedStale    = "stale"            // the same, where requests are let pass all the same
	degradedAway     = "cluster_away"     // revocations are answered 503, and those of other nodes do not come in
	degradedSettings = "cluster_settings" // the engine cannot keep its promises as it is set
)
