package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
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
	// Open begins to connect, and returns at once. Records matter as long beyond their
	// end as the leeway.
	Open(leeway time.Duration) (cluster.Engine, error)
}

// memberships holds this process's nodes, by store, cluster, how often there is word
// and the leeway, so that a reload keeps them. While two configurations with different
// clusters overlap, a revocation is published to both.
var memberships = caddy.NewUsagePool()

// membership is that a denylist is part of a cluster, from when it is loaded.
type membership struct {
	once sync.Once
	node atomic.Pointer[cluster.Node] // nil until it has joined
	err  error
}

// joinedTo returns the membership with a key, and whether there was none before.
func joinedTo(key string) (m *membership, added bool) {
	value, there, _ := memberships.LoadOrNew(key, func() (caddy.Destructor, error) { return new(membership), nil })
	return value.(*membership), !there
}

// join makes the denylist part of the cluster, unless it is already.
func (m *membership) join(list *revocation.Denylist, a *App) error {
	m.once.Do(func() {
		var engine cluster.Engine
		if engine, m.err = a.cluster.Open(time.Duration(*a.Leeway)); m.err == nil {
			log := &clusterLog{member: m, first: a.logger, warnings: engine.Warnings}
			m.node.Store(cluster.Join(list, engine, cluster.Options{Beat: a.beat(), Pause: time.Duration(a.MaxStaleness) / 4, Tell: log.tell}))
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
	a.clusterKey = fmt.Sprintf("%s\n%s\n%s\n%s", a.key, a.cluster.Resource(), a.beat(), time.Duration(*a.Leeway))
	a.member, a.joins = joinedTo(a.clusterKey)
	return nil
}

// joined is a denylist that is part of the cluster, if there is one: before that,
// what is revoked in it would not be told to the others.
func (a *App) joined(list *revocation.Denylist, err error) (*revocation.Denylist, error) {
	if err == nil && a.member != nil {
		err = a.member.join(list, a)
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// reloadTimeout is how long the configuration that runs goes on while a new one has
// no word from its cluster.
const reloadTimeout = 10 * time.Second

// awaitCluster waits for the first word from a cluster that a reload has added: till
// then the configuration before answers. The first configuration is not held up, and
// a cluster that does not answer keeps no configuration from running.
func (a *App) awaitCluster() {
	if !a.joins || caddy.ActiveContext().Context == nil {
		return
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); !a.fresh(); <-ticker.C {
		if time.Since(began) > reloadTimeout {
			a.logger.Warn("there is no word from the cluster yet; the configuration runs all the same",
				zap.Duration("waited", reloadTimeout))
			return
		}
	}
}

// leaveTimeout bounds what a disk that is stuck can hold up a reload.
const leaveTimeout = 5 * time.Second

// beat is how often there is word from the cluster: often enough that one or two
// that are late do not make the node stale. An engine that is slow gets fewer, with
// a quarter of max_staleness between them at most.
func (a *App) beat() time.Duration {
	return min(time.Second, time.Duration(a.MaxStaleness)/4)
}

// leave lets go of the cluster, which has to come before the denylist is let go.
// Where that lives on with another cluster, what is decided there is not known here:
// the cursor would be wrong if this cluster were to come back. Where it does not, what
// is still under way is no success: the others would not hear of it.
func (a *App) leave() error {
	if a.clusterKey == "" {
		return nil
	}
	key := a.clusterKey
	a.clusterKey = ""
	list := a.shared.loaded.Load()
	users, _ := denylists.References(a.key)
	if list != nil && users == 1 {
		list.Join(func(context.Context, []revocation.Record) error { return revocation.ErrClosed })
	}
	left, err := memberships.Delete(key)
	if list != nil && users > 1 && left {
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
		defer cancel()
		err = errors.Join(err, list.Receive(ctx, nil, revocation.NoCursor))
	}
	if err != nil {
		return fmt.Errorf("leaving the cluster: %w", err)
	}
	return nil
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
