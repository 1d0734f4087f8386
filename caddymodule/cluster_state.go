package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// clusterState is how a node stands to its cluster.
type clusterState struct {
	// Level is whether all that the cluster knows comes in right now.
	Level bool `json:"level"`
	// StalenessSeconds is how old what the node knows of the cluster may be: all
	// that was known there so long ago, it knows. Absent until there was word.
	StalenessSeconds    *float64 `json:"staleness_seconds,omitempty"`
	MaxStalenessSeconds float64  `json:"max_staleness_seconds"`
	// Syncs is how often the node has begun to listen, and Snapshots how often, by
	// reason, it had to be told everything.
	Syncs     int            `json:"syncs"`
	Snapshots map[string]int `json:"snapshots"`
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
	s := &clusterState{MaxStalenessSeconds: time.Duration(a.MaxStaleness).Seconds(), Snapshots: map[string]int{}, Warnings: []string{}}
	node := a.member.node.Load()
	if node == nil {
		return s
	}
	now := node.State()
	s.Level, s.Syncs, s.Repaired, s.Owed, s.Lost = now.Level, now.Syncs, now.Repaired, now.Owed, now.Lost
	s.Snapshots, s.Warnings = now.Snapshots, append(s.Warnings, now.Warnings...)
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
	case !a.fresh() && a.WhenUnavailable == allowStale:
		is.Degraded = append(is.Degraded, degradedStale)
	case !a.fresh():
		is.Ready, is.Reasons = false, append(is.Reasons, reasonStale)
	case !s.Level:
		is.Degraded = append(is.Degraded, degradedAway)
	}
	if len(s.Warnings) > 0 {
		is.Degraded = append(is.Degraded, degradedSettings)
	}
}

const (
	reasonStale = "stale" // there was no word from the cluster for longer than max_staleness

	degradedStale    = "stale"            // the same, where requests are let pass all the same
	degradedAway     = "cluster_away"     // revocations are answered 503, and those of other nodes do not come in
	degradedSettings = "cluster_settings" // the engine cannot keep its promises as it is set
)

var (
	levelDesc     = metricDesc("cluster_level", "Whether all that the cluster knows comes in: 1 or 0.")
	stalenessDesc = metricDesc("cluster_staleness_seconds", "How old what this node knows of the cluster may be; absent until there was word.")
	syncsDesc     = metricDesc("cluster_syncs_total", "How often this node has begun to listen to the cluster.")
	snapshotsDesc = metricDesc("cluster_snapshots_total", "How often it had to be told everything, by reason.", "reason")
	repairedDesc  = metricDesc("cluster_repaired_records_total", "Records that the cluster lacked and was sent by this node.")
	owedDesc      = metricDesc("cluster_owed_records", "Records that did not reach the cluster yet.")
	warningsDesc  = metricDesc("cluster_warnings", "Settings of the cluster's engine with which it cannot keep its promises.")
)

// clusterMetrics are about the cluster of the running configuration; none if it
// has none.
type clusterMetrics struct{}

// Describe implements [prometheus.Collector].
func (clusterMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{levelDesc, stalenessDesc, syncsDesc, snapshotsDesc, repairedDesc, owedDesc, warningsDesc} {
		to <- desc
	}
}

// Collect implements [prometheus.Collector].
func (clusterMetrics) Collect(to chan<- prometheus.Metric) {
	app := runningApp()
	if app == nil || app.member == nil {
		return
	}
	node := app.member.node.Load()
	if node == nil {
		return
	}
	collectCluster(node.State(), to)
}

func collectCluster(s cluster.State, to chan<- prometheus.Metric) {
	tell := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	level := 0.0
	if s.Level {
		level = 1
	}
	tell(levelDesc, prometheus.GaugeValue, level)
	if s.Word {
		tell(stalenessDesc, prometheus.GaugeValue, s.Staleness.Seconds())
	}
	tell(syncsDesc, prometheus.CounterValue, float64(s.Syncs))
	for reason, n := range s.Snapshots {
		tell(snapshotsDesc, prometheus.CounterValue, float64(n), reason)
	}
	tell(repairedDesc, prometheus.CounterValue, float64(s.Repaired))
	tell(owedDesc, prometheus.GaugeValue, float64(s.Owed))
	tell(warningsDesc, prometheus.GaugeValue, float64(len(s.Warnings)))
}
