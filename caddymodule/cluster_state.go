package caddymodule

import (
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// clusterState is how the node stands to its cluster; nil without one.
func (a *App) clusterState() *operator.Cluster {
	if a.member == nil {
		return nil
	}
	s := &operator.Cluster{
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
