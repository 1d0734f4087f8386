package caddymodule

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// logAgain is how often the same is said again above the level debug: a node whose
// cluster is away tries every few seconds.
const logAgain = time.Minute

// clusterLog tells the log what happens to a membership.
type clusterLog struct {
	member   *membership
	first    *zap.Logger     // of the configuration that has joined
	warnings func() []string // of the engine

	mu       sync.Mutex
	level    bool                 // it was said last that the node is
	said     map[string]time.Time // when something was said last; each at most once in logAgain
	warned   []string             // the warnings that were said
	repaired int                  // records of which nothing was said
}

// logger is that of the running configuration: the one that has joined may have
// ended long ago.
func (l *clusterLog) logger() *zap.Logger {
	if app := runningApp(); app != nil && app.member == l.member {
		return app.logger
	}
	return l.first
}

func (l *clusterLog) tell(e cluster.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.What {
	case "level":
		if !l.level { // as far as the log says
			l.logger().Info("level with the cluster")
		}
		l.level = true
	case "snapshot":
		l.say(zap.InfoLevel, "everything is asked of the cluster", zap.String("why", e.Why))
	case "repaired":
		l.repaired += e.Records
		if l.say(zap.WarnLevel, "the cluster lacked records that this node has, and was sent them", zap.Int("records", l.repaired)) {
			l.repaired = 0
		}
	case "refused":
		l.say(zap.WarnLevel, "the cluster does not take what it lacks, and is sent it again later", zap.String("why", e.Why))
	default:
		if l.say(zap.WarnLevel, "not level with the cluster", zap.String("why", e.Why)) {
			l.level = false
		}
	}
	l.warn()
}

// say logs a message, at the level debug if it was said a moment ago.
func (l *clusterLog) say(level zapcore.Level, message string, field zap.Field) (said bool) {
	if l.said == nil {
		l.said = map[string]time.Time{}
	}
	if last, ok := l.said[message]; ok && time.Since(last) < logAgain {
		l.logger().Debug(message, field)
		return false
	}
	l.said[message] = time.Now()
	l.logger().Log(level, message, field)
	return true
}

// warn logs each warning of the engine when it appears, and when it is gone.
func (l *clusterLog) warn() {
	now := l.warnings()
	for _, warning := range now {
		if !slices.Contains(l.warned, warning) {
			l.logger().Warn("the cluster cannot keep its promises as it is set", zap.String("warning", warning))
		}
	}
	for _, warning := range l.warned {
		if !slices.Contains(now, warning) {
			l.logger().Info("the cluster was set otherwise", zap.String("no_warning", warning))
		}
	}
	l.warned = slices.Clone(now)
}
