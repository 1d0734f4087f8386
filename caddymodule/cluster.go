package caddymodule

import (
	"sync"

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
	node *cluster.Node // nil until it has joined
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
			m.node = cluster.Join(list, engine, cluster.Options{Tell: func(e cluster.Event) { tell(logger, e) }})
		}
	})
	return m.err
}

// Destruct leaves the cluster, when the last configuration has let go of it.
func (m *membership) Destruct() error {
	m.once.Do(func() {})
	if m.node == nil {
		return nil
	}
	return m.node.Close()
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
