package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// finding is what there is to say about a request with tokens that somebody
// wanted refused.
type finding struct {
	reason  string               // why it is refused, or "passed"
	record  *revocation.Record   // that revokes; nil if none does
	counted []*revocation.Record // dry runs that would have refused it
}

// note puts a finding into the request's line in the access log, and into its
// span, if it has one.
func note(ctx context.Context, f finding) {
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.Object(appName, f))
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(f.attributes()...)
	}
}

// MarshalLogObject implements [zapcore.ObjectMarshaler].
func (f finding) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("reason", f.reason)
	if f.record != nil {
		e.AddString("kind", f.record.Key.Kind.String())
		e.AddString("digest", f.record.Key.Prefix())
	}
	if len(f.counted) == 0 {
		return nil
	}
	return e.AddArray("dry_run", zapcore.ArrayMarshalerFunc(func(list zapcore.ArrayEncoder) error {
		for _, name := range f.dryRuns() {
			list.AppendString(name)
		}
		return nil
	}))
}

func (f finding) attributes() []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String("token_revocation.reason", f.reason)}
	if f.record != nil {
		list = append(list,
			attribute.String("token_revocation.kind", f.record.Key.Kind.String()),
			attribute.String("token_revocation.digest", f.record.Key.Prefix()))
	}
	if len(f.counted) > 0 {
		list = append(list, attribute.StringSlice("token_revocation.dry_run", f.dryRuns()))
	}
	return list
}

// dryRuns names each dry run by its kind and digest, such as "subject
// 9f86d081884c".
func (f finding) dryRuns() []string {
	names := make([]string, len(f.counted))
	for i, record := range f.counted {
		names[i] = record.Key.String()
	}
	return names
}
