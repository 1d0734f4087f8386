package caddymodule

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

var (
	loadedDesc  = metricDesc("denylist_loaded", "Whether the denylist of the running configuration is loaded: 1 or 0.")
	tookDesc    = metricDesc("denylist_load_duration_seconds", "How long loading it took.")
	recordsDesc = metricDesc("denylist_records", "Live records, by kind; those that were restored count until they end.", "kind")
	bytesDesc   = metricDesc("denylist_index_bytes", "What their fingerprints in memory take.")
	wordDesc    = metricDesc("store_last_success_timestamp_seconds", "When the store last did what it was asked for. Each scrape has it read.", "operation")

	hitsDesc   = metricDesc("cache_hits_total", "Suspected tokens whose record was in the cache.")
	missesDesc = metricDesc("cache_misses_total", "Suspected tokens for which the store had to be asked.")
)

// denylistMetrics are about the denylist of the running configuration, whichever
// that is when they are asked for.
type denylistMetrics struct{}

// Describe implements [prometheus.Collector].
func (denylistMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{loadedDesc, tookDesc, recordsDesc, bytesDesc, wordDesc} {
		to <- desc
	}
}

// Collect implements [prometheus.Collector].
func (denylistMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	app := runningApp()
	if app == nil {
		if caddy.ActiveContext().Context == nil { // the first is starting
			gauge(loadedDesc, 0)
		}
		return
	}
	shared := app.shared
	list := shared.loaded.Load()
	if list == nil {
		gauge(loadedDesc, 0)
		return
	}
	stats := list.Stats()
	gauge(loadedDesc, 1)
	gauge(tookDesc, shared.loading.took.Seconds())
	gauge(bytesDesc, float64(stats.IndexBytes))
	for _, kind := range revocation.Kinds() {
		gauge(recordsDesc, float64(stats.Records[kind]), kind.String())
	}
	if read := shared.lastRead.Load(); read > 0 {
		gauge(wordDesc, float64(read)/1e9, "read")
	}
	if wrote := shared.use.health().LastWrite; wrote != nil {
		gauge(wordDesc, float64(wrote.UnixNano())/1e9, "write")
	}
	// The store is read now, for the next time: where a disk is stuck, this is not.
	_, _, _ = shared.probe.attempt(list.Ping)
}

// cacheMetrics sum up over all denylists of this process, those that are closed
// too: a sum that shrank would look like a restart.
type cacheMetrics struct {
	mu           sync.Mutex
	open         map[*revocation.Denylist]struct{}
	hits, misses uint64 // of those that are closed
}

func newCacheMetrics() *cacheMetrics {
	return &cacheMetrics{open: make(map[*revocation.Denylist]struct{})}
}

func (m *cacheMetrics) opened(list *revocation.Denylist) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[list] = struct{}{}
}

func (m *cacheMetrics) closed(list *revocation.Denylist) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, list)
	stats := list.Stats()
	m.hits += stats.CacheHits
	m.misses += stats.CacheMisses
}

// Describe implements [prometheus.Collector].
func (*cacheMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- hitsDesc
	to <- missesDesc
}

// Collect implements [prometheus.Collector].
func (m *cacheMetrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	hits, misses := m.hits, m.misses
	for list := range m.open {
		stats := list.Stats()
		hits += stats.CacheHits
		misses += stats.CacheMisses
	}
	m.mu.Unlock()
	to <- prometheus.MustNewConstMetric(hitsDesc, prometheus.CounterValue, float64(hits))
	to <- prometheus.MustNewConstMetric(missesDesc, prometheus.CounterValue, float64(misses))
}
