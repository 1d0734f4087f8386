package caddymodule

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// traceChange says in the span of a request, if there is one, what it revoked or
// restored: lists of as many entries as there are records.
func traceChange(ctx context.Context, through way, records []revocation.Record) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() || len(records) == 0 {
		return
	}
	var kinds, digests, effects []string
	for i := range records {
		r := &records[i]
		kinds = append(kinds, r.Key.Kind.String())
		digests = append(digests, r.Key.Prefix())
		effects = append(effects, r.Effect.String())
	}
	span.SetAttributes(
		attribute.String("token_revocation.way", string(through)),
		attribute.String("token_revocation.client", records[0].By),
		attribute.StringSlice("token_revocation.changed.kind", kinds),
		attribute.StringSlice("token_revocation.changed.digest", digests),
		attribute.StringSlice("token_revocation.changed.effect", effects),
	)
}
