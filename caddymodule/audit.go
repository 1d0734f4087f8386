package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// way is through what a change came.
type way string

const (
	wayEndpoint way = "endpoint"
	wayAdmin    way = "admin"
	wayImport   way = "import"
)

// audit tells of each record that was changed, once that is durable and enforced:
// one structured line each. It tells nothing secret: a digest prefix stands for
// what was revoked.
func (a *App) audit(_ context.Context, through way, records ...revocation.Record) {
	metrics.revocations.changed(through, records)
	for i := range records {
		r := &records[i]
		fields := []zap.Field{
			zap.String("way", string(through)),
			zap.String("kind", r.Key.Kind.String()),
			zap.String("digest", r.Key.Prefix()),
			zap.String("by", r.By),
			zap.Bool("operator", r.Operator),
			zap.String("reason", r.Reason),
			// As text: a number of nanoseconds ends in 2262.
			zap.String("expires", r.Expires.UTC().Format(time.RFC3339)),
		}
		a.logger.Info(changeOf(r), fields...)
	}
}

// changeOf is what became of a record, in words.
func changeOf(r *revocation.Record) string {
	switch r.Effect {
	case revocation.Restored:
		return r.Key.Kind.String() + " restored"
	case revocation.Count:
		return r.Key.Kind.String() + " dry run"
	}
	return r.Key.Kind.String() + " revoked"
}
