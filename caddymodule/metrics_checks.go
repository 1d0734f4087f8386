package caddymodule

import (
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/gate"
)

// sampleEvery is of how many checks one is timed, at random: to look at the clock
// twice costs a tenth of what a check does.
const sampleEvery = 64

// checkMetrics are about requests at the gate. Each has a counter of its own that
// is known beforehand, so that a check pays for one addition.
type checkMetrics struct {
	collectors
	duration prometheus.Histogram

	clear, noToken, dryRun prometheus.Counter                  // of those that pass
	refused                [gate.Passed + 1]prometheus.Counter // by [gate.Reason]; Passed is without a token
}

func newCheckMetrics() *checkMetrics {
	total := counterVec("checks_total", "Requests that were looked at, by what became of them and why.", "result", "reason")
	m := &checkMetrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: metricName("check_duration_seconds"),
			Help: "How long the look at a request took, with the wait for a form that has to be read. One request in 64 is timed, at random.",
			Buckets: []float64{
				.5e-6, .75e-6, 1e-6, 1.5e-6, 2.5e-6, 5e-6, 10e-6, 25e-6, 100e-6, 1e-3, 10e-3, 100e-3, 1,
			},
		}),
	}
	m.collectors = collectors{total, m.duration}
	m.clear = total.WithLabelValues("passed", "not_revoked")
	m.noToken = total.WithLabelValues("passed", "no_token")
	m.dryRun = total.WithLabelValues("passed", "dry_run")
	for i := range m.refused {
		m.refused[i] = total.WithLabelValues("refused", reasonOf(gate.Reason(i)))
	}
	return m
}

// began is when a check began, or zero for one that is not timed.
func (m *checkMetrics) began() time.Time {
	if rand.Uint32()%sampleEvery != 0 {
		return time.Time{}
	}
	return time.Now()
}

func (m *checkMetrics) count(d *gate.Decision, passes bool, began time.Time) {
	switch {
	case !passes:
		m.refused[d.Reason].Inc()
	case d.Tokens == 0:
		m.noToken.Inc()
	case len(d.Counted) > 0:
		m.dryRun.Inc()
	default:
		m.clear.Inc()
	}
	if !began.IsZero() {
		m.duration.Observe(time.Since(began).Seconds())
	}
}
