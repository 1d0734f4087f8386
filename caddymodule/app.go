// Package caddymodule is token revocation as Caddy sees it: configuration,
// lifecycle, and the handler. What a revocation is and does stands in package
// revocation and below.
package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/endpoint"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/token"
)

func init() { caddy.RegisterModule(new(App)) }

const appName = "token_revocation"

// Defaults of [App].
const (
	defaultCacheSize = 32 << 20
	defaultRetain    = 30 * 24 * time.Hour
	defaultLeeway    = time.Minute

	defaultMaxStaleness = 30 * time.Second
	minMaxStaleness     = 500 * time.Millisecond

	maxCacheSize = 64 << 30
)

// App keeps the denylist: which tokens were revoked, until when that matters,
// and which clients may revoke. All sites that use the `token_revocation`
// handler share it. It keeps its denylist through reloads.
type App struct {
	// Where this node keeps its copy of the denylist: the module `bolt`, in a file;
	// or with a cluster also `memory`. Default: `bolt`, with its file in Caddy's data
	// directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=token_revocation.stores inline_key=backend"`

	// Through what this node shares its denylist with others. Default: nothing; it
	// stands alone.
	ClusterRaw json.RawMessage `json:"cluster,omitempty" caddy:"namespace=token_revocation.clusters inline_key=engine"`

	// How long a node may go without word from its cluster until it no longer
	// knows what is revoked, and `when_unavailable` says what becomes of requests
	// with tokens. At least 500ms. There is word every second, or four times within
	// it if that is more often. Default: 30s.
	MaxStaleness caddy.Duration `json:"max_staleness,omitempty"`

	// What to do with a request whose token may have been revoked without this
	// node having been told, because the denylist is not loaded yet or there was no
	// word from the cluster for too long: `deny` it with status 503, or `allow` it.
	// Tokens that are known to be revoked are refused in any case, and requests
	// without a token are none of such. Sites may choose otherwise. Default: `deny`.
	WhenUnavailable string `json:"when_unavailable,omitempty"`

	// The budget, in bytes, of the cache of the records that are being asked
	// for. Default: 33554432 (32 MiB). The denylist itself is not limited by it.
	CacheSize int64 `json:"cache_size,omitempty"`

	// How long to keep the record of a token whose end cannot be read: an opaque
	// token, an encrypted one, or a JWT without `exp`. Must be no shorter than
	// such tokens live. Default: 720h.
	Retain caddy.Duration `json:"retain,omitempty"`

	// How long beyond the end of a token its record is kept and enforced, for
	// APIs whose clocks are behind or that accept expired tokens for a moment.
	// Default: 60s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// Who may revoke tokens. Without clients nobody can, and the gate only
	// enforces what was revoked before.
	Clients []Client `json:"clients,omitempty"`

	// The authorization servers whose tokens can be verified here. With their
	// keys it is known whose a token is; else whoever has one may revoke it.
	Issuers []Issuer `json:"issuers,omitempty"`

	// Whom to ask about tokens that cannot be verified here.
	Introspection *Introspection `json:"introspection,omitempty"`

	logger   *zap.Logger
	auditLog *zap.Logger
	events   *events
	store    StoreModule
	clients  *endpoint.Clients
	judge    endpoint.Judge // nil if possession decides
	shared   *sharedDenylist
	key      string // under which shared was acquired; empty if it was not

	cluster    ClusterModule // nil if the node stands alone
	member     *membership   // of it
	clusterKey string        // under which member was acquired; empty if it was not
	joins      bool          // this app is the first to be a member
	kept       []string      // what the app has in the pool of what was published
	tuned      bool          // the denylist is as this app wants it, or was

	issuerURLs []string
	names      *token.Names // of the issuers, by which rules know their tokens
	endpoints  []*Handler   // those that have one
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appName, New: func() caddy.Module { return new(App) }}
}

// StoreModule is what a module in the namespace token_revocation.stores must be.
type StoreModule interface {
	// Resource names what the store locks, for example a file by its absolute
	// path. Two configurations with the same resource share one denylist.
	Resource() string
	// Open opens the store. It must not be called, and nothing of it be done,
	// before the configuration runs: `caddy validate` provisions modules beside
	// a live server.
	Open(ctx context.Context) (revocation.Store, error)
}

// NeedsCluster is implemented by a [StoreModule] whose stores are
// [revocation.Volatile]: it is refused in a configuration without a cluster.
type NeedsCluster interface{ NeedsCluster() }

// Provision reads the configuration. It opens nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	a.auditLog = a.logger.Named(auditName)
	metrics.used.Store(true)
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err := a.setDefaults(); err != nil {
		return err
	}
	var err error
	if a.events, err = newEvents(ctx); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if a.clients, err = a.provisionClients(); err != nil {
		return err
	}
	if err = a.provisionJudge(); err != nil {
		return err
	}
	store, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	var ok bool
	if a.store, ok = store.(StoreModule); !ok {
		return fmt.Errorf("store: %T is not a store of token_revocation", store)
	}
	if _, forgets := store.(NeedsCluster); forgets && len(a.ClusterRaw) == 0 {
		return errors.New("store: it forgets everything on a restart, and so needs a cluster")
	}
	a.key = a.store.Resource()
	a.shared = acquire(a.key)
	return a.provisionCluster(ctx)
}

func (a *App) setDefaults() error {
	switch {
	case a.CacheSize < 0, a.CacheSize > maxCacheSize:
		return fmt.Errorf("cache_size: %d bytes are not possible; at most %d are", a.CacheSize, int64(maxCacheSize))
	case a.CacheSize == 0:
		a.CacheSize = defaultCacheSize
	}
	switch {
	case a.Retain < 0:
		return fmt.Errorf("retain: %s is not possible", time.Duration(a.Retain))
	case a.Retain == 0:
		a.Retain = caddy.Duration(defaultRetain)
	}
	switch {
	case a.Leeway == nil:
		leeway := caddy.Duration(defaultLeeway)
		a.Leeway = &leeway
	case *a.Leeway < 0:
		return fmt.Errorf("leeway: %s is not possible", time.Duration(*a.Leeway))
	}
	switch {
	case a.MaxStaleness != 0 && a.MaxStaleness < caddy.Duration(minMaxStaleness):
		return fmt.Errorf("max_staleness: %s is not possible; %s or more is", time.Duration(a.MaxStaleness), minMaxStaleness)
	case a.MaxStaleness > 0 && len(a.ClusterRaw) == 0:
		return errors.New("max_staleness: there is no cluster from which word could come")
	case a.MaxStaleness == 0:
		a.MaxStaleness = caddy.Duration(defaultMaxStaleness)
	}
	if err := checkWhenUnavailable(a.WhenUnavailable); err != nil {
		return err
	}
	if len(a.StoreRaw) == 0 {
		a.StoreRaw = json.RawMessage(`{"backend":"bolt"}`)
	}
	return nil
}

// Start opens the denylist, unless a request came first, and waits for it.
func (a *App) Start() error {
	list, err := a.joined(a.shared.get(context.Background(), a.open))
	if err != nil {
		return err
	}
	a.tuned = true
	if err := list.Tune(a.options()); err != nil {
		return err
	}
	a.awaitCluster()
	return nil
}

// Stop does nothing: requests that began before may still need the denylist.
func (*App) Stop() error { return nil }

// Cleanup lets go of the denylist. The last configuration that does closes it.
func (a *App) Cleanup() error {
	for _, name := range a.kept {
		_, _ = published.Delete(name) // which has nothing to close
	}
	a.kept = nil
	left := a.leave()
	if a.key == "" {
		return left
	}
	key := a.key
	a.key = ""
	return errors.Join(left, a.retune(), release(key))
}

// retune lets the denylist be as the configuration that runs has it: where this one
// has failed after it was started, it leaves nothing behind.
func (a *App) retune() error {
	active := runningApp()
	if !a.tuned || active == nil || active == a || active.shared != a.shared {
		return nil
	}
	list := a.shared.loaded.Load()
	if list == nil {
		return nil
	}
	return list.Tune(active.options())
}

func (a *App) options() revocation.Options {
	return revocation.Options{
		CacheBytes: a.CacheSize,
		Leeway:     time.Duration(*a.Leeway),
		Progress: func(p revocation.Progress) {
			a.logger.Info("loading the denylist",
				zap.Int("records", p.Records), zap.Int("percent", int(100*p.Part)))
		},
		Failed:  func(err error) { a.logger.Error("keeping the denylist", zap.Error(err)) },
		Observe: a.shared.observe,
	}
}

func (a *App) open(ctx context.Context) (*revocation.Denylist, error) {
	began := time.Now()
	store, err := a.store.Open(ctx)
	if err != nil {
		return nil, err
	}
	list, err := revocation.Open(ctx, store, a.options())
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	metrics.caches.opened(list)
	a.logger.Info("denylist loaded",
		zap.String("store", a.store.Resource()),
		zap.Int("records", list.Stats().Total()),
		zap.Duration("took", took))
	return list, nil
}

// loadTimeout is how long a request waits for a denylist that is being loaded;
// less than a client waits for its revocation.
const loadTimeout = 8 * time.Second

var errLoading = errors.New("the denylist is still being loaded")

// denylist returns the denylist. Only before it is loaded does this wait.
func (a *App) denylist(ctx context.Context) (*revocation.Denylist, error) {
	if list := a.shared.loaded.Load(); list != nil {
		return a.joined(list, nil)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, loadTimeout, errLoading)
	defer cancel()
	return a.joined(a.shared.get(ctx, a.open))
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
