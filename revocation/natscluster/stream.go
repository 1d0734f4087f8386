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
	return stream, e.inspect(stream.CachedInfo())
}

// incarnation tells a stream from others of its name.
func incarnation(info *jetstream.StreamInfo) string {
	return info.Config.Metadata[incarnationKey] + " " + info.Created.UTC().String()
}
