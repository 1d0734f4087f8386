package caddymodule

import (
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// stats describe the denylist of this node.
type stats struct {
	// Version is that of this module, and Caddy that of Caddy.
	Version string `json:"version"`
	Caddy   string `json:"caddy"`

	// Records is how many are live, by kind, those that were restored and dry runs
	// included.
	Records map[string]int `json:"records"`
	Total   int            `json:"total"`

	// IndexBytes is what the index takes in memory.
	IndexBytes int        `json:"index_bytes"`
	Cache      cacheStats `json:"cache"`

	Loaded loadStats `json:"loaded"`
	Store  struct {
		// Resource is what the store locks, such as the path of its file.
		Resource string `json:"resource"`
	} `json:"store"`

	RetainSeconds float64 `json:"retain_seconds"`
	LeewaySeconds float64 `json:"leeway_seconds"`
}

// cacheStats are how often records were found in the cache, since the denylist was
// loaded, and its budget.
type cacheStats struct {
	Hits   uint64 `json:"hits"`
	Misses uint64 `json:"misses"`
	Bytes  int64  `json:"bytes"`
}

// loadStats are when the denylist was loaded from the store, which reloads of the
// configuration do not repeat, how long that took, and how many records there were.
type loadStats struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	Records int       `json:"records"`
}

func (c *call) stats() (any, error) {
	if _, err := c.query(); err != nil {
		return nil, err
	}
	now, shared := c.list.Stats(), c.app.shared
	answer := stats{
		Version: version(), Records: map[string]int{}, Total: now.Total(), IndexBytes: now.IndexBytes,
		Cache:         cacheStats{now.CacheHits, now.CacheMisses, c.app.CacheSize},
		Loaded:        loadStats{shared.loading.ended.UTC().Truncate(time.Millisecond), shared.loading.took.Seconds(), shared.loading.records},
		RetainSeconds: time.Duration(c.app.Retain).Seconds(),
		LeewaySeconds: time.Duration(*c.app.Leeway).Seconds(),
	}
	answer.Caddy, _ = caddy.Version()
	answer.Store.Resource = shared.resource
	for _, kind := range revocation.Kinds() {
		answer.Records[kind.String()] = now.Records[kind]
	}
	return answer, nil
}

// version is that of the module as it was built in, such as "v1.2.3"; "(devel)" or
// "unknown" where it was not built as a version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	here := reflect.TypeFor[App]().PkgPath() // the module, and a folder in it
	for _, module := range append(info.Deps, &info.Main) {
		if strings.HasPrefix(here, module.Path+"/") && module.Path != "" {
			return module.Version
		}
	}
	return "unknown"
}

// state is how the node stands to its store, and to others.
type state struct {
	// Cluster is nil if the node stands alone.
	Cluster *operator.Cluster `json:"cluster"`
	readiness
	Store storeHealth `json:"store"`
}

func (c *call) sync() (any, error) {
	if _, err := c.query(); err != nil {
		return nil, err
	}
	now := c.app.readiness(c.r.Context())
	return state{Cluster: c.app.clusterState(), readiness: now, Store: now.Store}, nil
}
