package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

var (
	levelDesc      = metricDesc("cluster_level", "Whether all that the cluster knows comes in: 1 or 0.")
	staleDesc      = metricDesc("cluster_stale", "Whether there was no word from the cluster yet, or none for longer than max_staleness: 1 or 0.")
	wordAtDesc     = metricDesc("cluster_last_word_timestamp_seconds", "When the last word from the cluster that came in was sent: all that was known there by then is known here. Absent until there is one.")
	lagDesc        = metricDesc("cluster_lag_seconds", "How long that was under way, and so how long a revocation takes to come in.")
	syncsDesc      = metricDesc("cluster_syncs_total", "How often this node has begun to listen to the cluster.")
	snapshotsDesc  = metricDesc("cluster_snapshots_total", "How often it had to be told everything, by reason.", "reason")
	receivedDesc   = metricDesc("cluster_received_records_total", "Records that came in from the cluster, those of this node included.")
	repairedDesc   = metricDesc("cluster_repaired_records_total", "Records that the cluster lacked and was sent by this node.")
	owedDesc       = metricDesc("cluster_owed_records", "Records that did not reach the cluster yet and will be sent again.")
	warningsDesc   = metricDesc("cluster_warnings", "Settings of the cluster's engine with which it cannot keep its promises.")
	clusterMetered = []*prometheus.Desc{
		levelDesc, staleDesc, wordAtDesc, lagDesc, syncsDesc, snapshotsDesc, receivedDesc, repairedDesc, owedDesc, warningsDesc,
	}
)

// clusterMetrics are about the cluster of the running configuration; none if it
// has none.
type clusterMetrics struct{}

// Describe implements [prometheus.Collector].
func (clusterMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range clusterMetered {
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
	s := node.State()
	tell := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	tell(levelDesc, prometheus.GaugeValue, oneIf(s.Level))
	tell(staleDesc, prometheus.GaugeValue, oneIf(!app.fresh()))
	if s.Word {
		tell(wordAtDesc, prometheus.GaugeValue, float64(time.Now().Add(-s.Staleness).UnixMicro())/1e6)
		tell(lagDesc, prometheus.GaugeValue, s.Lag.Seconds())
	}
	tell(syncsDesc, prometheus.CounterValue, float64(s.Syncs))
	for _, reason := range cluster.Reasons() {
		tell(snapshotsDesc, prometheus.CounterValue, float64(s.Snapshots[reason]), reason)
	}
	tell(receivedDesc, prometheus.CounterValue, float64(s.Received))
	tell(repairedDesc, prometheus.CounterValue, float64(s.Repaired))
	tell(owedDesc, prometheus.GaugeValue, float64(s.Owed))
	tell(warningsDesc, prometheus.GaugeValue, float64(len(s.Warnings)))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
