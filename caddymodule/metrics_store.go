package caddymodule

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// operations are what is done with a store, see [revocation.Operation].
var operations = []string{"get", "put", "scan", "drop"}

// storeMetrics are about the use of the stores of this process.
type storeMetrics struct {
	collectors
	duration *prometheus.HistogramVec
	errors   *prometheus.CounterVec
}

func newStoreMetrics() *storeMetrics {
	m := &storeMetrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    metricName("store_operation_duration_seconds"),
			Help:    "How long each use of the store took, also one that failed.",
			Buckets: []float64{5e-6, 25e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 500e-3, 2.5, 10},
		}, []string{"operation"}),
		errors: counterVec("store_operation_errors_total", "Uses of the store that failed.", "operation"),
	}
	m.collectors = collectors{m.duration, m.errors}
	for _, operation := range operations {
		m.duration.WithLabelValues(operation)
		m.errors.WithLabelValues(operation)
	}
	return m
}

// observe is told of each use of a store. What this side gave up is no failure.
func (m *storeMetrics) observe(op revocation.Operation) {
	m.duration.WithLabelValues(op.Name).Observe(op.Took.Seconds())
	if op.Err != nil && !errors.Is(op.Err, context.Canceled) && !errors.Is(op.Err, revocation.ErrClosed) {
		m.errors.WithLabelValues(op.Name).Inc()
	}
}
