package caddymodule

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

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

// storeWord is when a store last did what it was asked for, and how long loading
// from it took.
type storeWord struct {
	read, wrote atomic.Int64 // in Unix nanoseconds; 0 for never
	took        atomic.Int64 // a time.Duration; 0 until it is loaded
	asking      atomic.Bool
}

func (w *storeWord) loaded(took time.Duration) { w.took.Store(int64(took)) }

// observe is told of each use of the store.
func (w *storeWord) observe(op revocation.Operation) {
	metrics.store.duration.WithLabelValues(op.Name).Observe(op.Took.Seconds())
	switch {
	case op.Err == nil && op.Name == "put":
		w.wrote.Store(op.Began.Add(op.Took).UnixNano())
	case op.Err == nil:
		w.read.Store(op.Began.Add(op.Took).UnixNano())
	case errors.Is(op.Err, context.Canceled), errors.Is(op.Err, revocation.ErrClosed): // by this side
	default:
		metrics.store.errors.WithLabelValues(op.Name).Inc()
	}
}

// ask has the store say a word, and waits for nothing: where a disk is stuck, this
// is not, and asks no second time.
func (w *storeWord) ask(list *revocation.Denylist) {
	if w.asking.CompareAndSwap(false, true) {
		go func() {
			defer w.asking.Store(false)
			_ = list.Ping() // which is observed
		}()
	}
}
