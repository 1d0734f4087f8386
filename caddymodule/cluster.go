package caddymodule

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// ClusterModule is what a module in the namespace token_revocation.clusters must
// be.
type ClusterModule interface {
	// Resource tells clusters apart: configurations with the same share a
	// connection. It holds no secret.
	Resource() string
	// Open begins to connect, and returns at once.
	Open() (cluster.Engine, error)
}

// memberships holds this process's nodes, by store and cluster, so that a reload
// keeps them. While two configurations with different clusters overlap, a
// revocation is published to both.
var memberships = caddy.NewUsagePool()

// membership is that a denylist is part of a cluster, from when it is loaded.
type membership struct {
	once sync.Once
	node atomic.Pointer[cluster.Node] // nil until it has joined
	err  error
}

func joinedTo(key string) *membership {
	m, _, _ := memberships.LoadOrNew(key, func() (caddy.Destructor, error) { return new(membership), nil })
	return m.(*membership)
}

// join makes the denylist part of the cluster, unless it is already.
func (m *membership) join(list *revocation.Denylist, module ClusterModule, logger *zap.Logger) error {
	m.once.Do(func() {
		var engine cluster.Engine
		if engine, m.err = module.Open(); m.err == nil {
			m.node.Store(cluster.Join(list, engine, cluster.Options{Tell: func(e cluster.Event) { tell(logger, e) }}))
		}
	})
	return m.err
}

// Destruct leaves the cluster, when the last configuration has let go of it.
func (m *membership) Destruct() error {
	m.once.Do(func() {})
	if node := m.node.Load(); node != nil {
		return node.Close()
	}
	return nil
}

const clusterNamespace = appName + ".clusters"

// builtIn says whether this Caddy has an engine, and if not, what to do about it.
func builtIn(engine string) error {
	id := clusterNamespace + "." + engine
	if _, err := caddy.GetModule(id); err == nil {
		return nil
	}
	switch engine {
	case "postgres", "redis":
		return fmt.Errorf("cluster %s is not supported by this version", engine)
	}
	return fmt.Errorf("cluster %s is not in this Caddy: build it with the package that has the module %s (xcaddy build --with <package>)", engine, id)
}

func (a *App) provisionCluster(ctx caddy.Context) error {
	if len(a.ClusterRaw) == 0 {
		return nil
	}
	var named struct{ Engine string }
	if err := json.Unmarshal(a.ClusterRaw, &named); err == nil && named.Engine != "" {
		if err := builtIn(named.Engine); err != nil {
			return err
		}
	}
	module, err := ctx.LoadModule(a, "ClusterRaw")
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	var ok bool
	if a.cluster, ok = module.(ClusterModule); !ok {
		return fmt.Errorf("cluster: %T is not a cluster of token_revocation", module)
	}
	a.clusterKey = a.key + "\n" + a.cluster.Resource()
	a.member = joinedTo(a.clusterKey)
	return nil
}

// joined is a denylist that is part of the cluster, if there is one: before that,
// what is revoked in it would not be told to the others.
func (a *App) joined(list *revocation.Denylist, err error) (*revocation.Denylist, error) {
	if err == nil && a.member != nil {
		err = a.member.join(list, a.cluster, a.logger)
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// leave lets go of the cluster, which has to come before the denylist is let go.
func (a *App) leave() {
	if a.clusterKey == "" {
		return
	}
	key := a.clusterKey
	a.clusterKey = ""
	if _, err := memberships.Delete(key); err != nil {
		a.logger.Error("leaving the cluster", zap.Error(err))
	}
}

// fresh says whether this node knows what the cluster knows, or did so recently
// enough.
func (a *App) fresh() bool {
	return a.member == nil || a.member.fresh(time.Duration(a.MaxStaleness))
}

func (m *membership) fresh(within time.Duration) bool {
	node := m.node.Load()
	return node != nil && node.Fresh(within)
}

// What becomes of requests of which too little is known.
const (
	deny       = "deny"
	allowStale = "allow"
)

func checkWhenUnavailable(choice string) error {
	switch choice {
	case "", deny, allowStale:
		return nil
	}
	return fmt.Errorf("when_unavailable: %q is neither deny nor allow", choice)
}

func tell(logger *zap.Logger, e cluster.Event) {
	switch e.What {
	case "level":
		logger.Info("level with the cluster")
	case "snapshot":
		logger.Info("everything is asked of the cluster anew", zap.String("why", e.Why))
	case "repaired":
		logger.Warn("the cluster lacked records and was sent them", zap.Int("records", e.Records))
	default:
		logger.Warn("not level with the cluster", zap.String("why", e.Why))
	}
}
