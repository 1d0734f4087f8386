package natscluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// incarnationKey is where a stream's metadata say which one of its name it is.
const incarnationKey = "caddy_token_revocation_incarnation"

// ErrStream says that the stream cannot be used as it is.
var ErrStream = errors.New("the stream cannot be used")

// stream returns the stream, and makes it if it is not there.
func (e *Engine) stream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, e.c.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, jetstream.StreamConfig{
			Name:        e.c.Stream,
			Description: "denylist of caddy-token-revocation",
			Subjects:    []string{e.c.Prefix + ".>"},
			Storage:     jetstream.FileStorage,
			Replicas:    e.c.Replicas,
			Retention:   jetstream.LimitsPolicy,
			MaxBytes:    e.c.MaxBytes,
			Discard:     jetstream.DiscardNew, // a full stream must not forget what it has
			AllowMsgTTL: true,
			// What disappears under a running node, that node does not notice.
			DenyDelete: true,
			DenyPurge:  true,
			Metadata:   map[string]string{incarnationKey: nuid.Next()},
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another node was faster
			stream, err = js.Stream(ctx, e.c.Stream)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", e.c.Stream, err)
	}
	return stream, e.inspect(ctx, stream.CachedInfo())
}

// inspect looks for settings with which the stream would not do, or not well.
func (e *Engine) inspect(ctx context.Context, info *jetstream.StreamInfo) error {
	c := info.Config
	switch {
	case !c.AllowMsgTTL:
		return fmt.Errorf("%w: stream %s does not allow per-message TTLs: set allow_msg_ttl (NATS 2.11 or later)", ErrStream, c.Name)
	case c.Retention != jetstream.LimitsPolicy:
		return fmt.Errorf("%w: stream %s must have the retention policy limits", ErrStream, c.Name)
	case c.MaxConsumers > 0 && c.MaxConsumers < 2:
		return fmt.Errorf("%w: stream %s allows %d consumers: every node needs one", ErrStream, c.Name, c.MaxConsumers)
	}
	var warnings []string
	warn := func(bad bool, text string) {
		if bad {
			warnings = append(warnings, fmt.Sprintf("stream %s: %s", c.Name, text))
		}
	}
	warn(c.Storage != jetstream.FileStorage, "it is kept in memory: a restart of NATS loses what no gateway has; set storage to file")
	warn(c.Replicas == 1 && info.Cluster != nil && info.Cluster.Name != "" && len(info.Cluster.Replicas) == 0,
		"one server of the cluster has the only copy: set num_replicas to 3")
	warn(c.MaxAge > 0, "max_age removes revocations before they end: set it to 0")
	limited := c.MaxMsgs > 0 || c.MaxBytes > 0 || c.MaxMsgsPerSubject > 0
	warn(limited && c.Discard != jetstream.DiscardNew, "a full stream removes the oldest revocations: set discard to new")
	warn(c.MaxMsgsPerSubject > 0, "max_msgs_per_subject removes revocations: set it to -1")
	warn(!c.DenyPurge || !c.DenyDelete, "running gateways do not notice what is removed from it: set deny_delete and deny_purge")
	warn(c.NoAck, "it acknowledges nothing: unset no_ack")
	warn(c.Metadata[incarnationKey] == "", "its metadata do not say which stream of this name it is: only its creation time does")
	warnings = append(warnings, e.c.unsynced(ctx, c.Replicas)...)
	e.mu.Lock()
	e.warnings, e.maxMessage = warnings, max(int(c.MaxMsgSize), 0)
	e.mu.Unlock()
	return nil
}

// incarnation tells a stream from others of its name.
func incarnation(info *jetstream.StreamInfo) string {
	return info.Config.Metadata[incarnationKey] + " " + info.Created.UTC().String()
}
