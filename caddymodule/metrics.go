package caddymodule

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what this process has counted since it began. They outlive
// configurations, each of which has a registry of its own that all of them are
// registered with.
var metrics = newMetrics()

// metricSet collects all metrics of this module. None of its labels has a value
// that comes from a request, a token or a client.
type metricSet struct {
	// used is whether the process has had a configuration with the app. Without
	// one there are no metrics.
	used atomic.Bool

	checks      *checkMetrics
	revocations *revocationMetrics
	store       *storeMetrics
	caches      *cacheMetrics
}

func newMetrics() *metricSet {
	return &metricSet{
		checks:      newCheckMetrics(),
		revocations: newRevocationMetrics(),
		store:       newStoreMetrics(),
		caches:      newCacheMetrics(),
	}
}

func (m *metricSet) parts() collectors {
	return collectors{m.checks, m.revocations, m.store, m.caches, denylistMetrics{}, clusterMetrics{}}
}

// register adds them to the registry of a configuration, which may have them.
func (m *metricSet) register(registry *prometheus.Registry) error {
	err := registry.Register(m)
	if errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return nil
	}
	return err
}

// Describe implements [prometheus.Collector].
func (m *metricSet) Describe(to chan<- *prometheus.Desc) { m.parts().Describe(to) }

// Collect implements [prometheus.Collector].
func (m *metricSet) Collect(to chan<- prometheus.Metric) {
	if m.used.Load() {
		m.parts().Collect(to)
	}
}

// collectors are several as one.
type collectors []prometheus.Collector

// Describe implements [prometheus.Collector].
func (c collectors) Describe(to chan<- *prometheus.Desc) {
	for _, part := range c {
		part.Describe(to)
	}
}

// Collect implements [prometheus.Collector].
func (c collectors) Collect(to chan<- prometheus.Metric) {
	for _, part := range c {
		part.Collect(to)
	}
}

func metricName(name string) string { return prometheus.BuildFQName("caddy", appName, name) }

func metricDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricName(name), help, labels, nil)
}

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricName(name), Help: help}, labels)
}
