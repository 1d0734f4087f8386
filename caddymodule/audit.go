package caddymodule

import (
	"cmp"
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// auditName is what the audit log is called below the app's own name.
const auditName = "audit"

// way is through what a change came.
type way string

const (
	wayEndpoint way = "endpoint"
	wayAdmin    way = "admin"
	wayImport   way = "import"
)

// audit tells of each record that was changed, once that is durable and enforced
// and before the change is answered: with one structured line each, with events,
// in metrics, and in the span of ctx. It tells nothing secret: a digest prefix
// stands for what was revoked. It returns within [eventTimeout].
func (a *App) audit(ctx context.Context, through way, records ...revocation.Record) {
	a.tell(ctx, through, records)
}

// tell is audit with further fields of each line.
func (a *App) tell(ctx context.Context, through way, records []revocation.Record, further ...zap.Field) {
	metrics.revocations.changed(through, records)
	a.logChanges(ctx, through, records, further...)
	traceChange(ctx, through, records)
	a.emit(through, records)
}

func (a *App) logChanges(ctx context.Context, through way, records []revocation.Record, further ...zap.Field) {
	further = append(further, originOf(ctx)...)
	for i := range records {
		r := &records[i]
		fields := append([]zap.Field{zap.String("way", string(through))}, recordFields(r)...)
		a.auditLog.Info(changeOf(r), append(fields, further...)...)
	}
}

// auditImport tells of what an import has stored, once that is durable and
// enforced: one line for all of it, with how many records of each kind there were,
// and one for each rule that may be about many tokens. There are no events: most of
// it happened somewhere else, and long ago.
func (a *App) auditImport(ctx context.Context, im *importing) {
	a.logChanges(ctx, wayImport, im.rules)
	fields := []zap.Field{
		zap.String("way", string(wayImport)), zap.String("by", cmp.Or(im.by, operator.DefaultBy)),
		zap.Int("lines", im.Lines), zap.Int("stored", im.Stored), zap.Int("ended", im.Ended),
	}
	for _, kind := range revocation.Kinds() {
		if n := im.counts[kind]; n > 0 {
			fields = append(fields, zap.Int("kind_"+kind.String(), n))
		}
	}
	a.auditLog.Info("imported", append(fields, originOf(ctx)...)...)
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

// recordFields are a record as it stands in a line. What does not matter for it
// is left out.
func recordFields(r *revocation.Record) []zap.Field {
	fields := []zap.Field{
		zap.String("kind", r.Key.Kind.String()),
		zap.String("digest", r.Key.Prefix()),
		zap.String("effect", r.Effect.String()),
		zap.String("by", r.By),
		zap.Bool("operator", r.Operator),
		zap.String("expires", instant(ending(r))),
	}
	for _, optional := range []struct{ name, value string }{
		{"reason", r.Reason},
		{"issuer", r.Issuer},
		{"value", r.Value},
		{"issued_before", instant(r.IssuedBefore)},
	} {
		if optional.value != "" {
			fields = append(fields, zap.String(optional.name, optional.value))
		}
	}
	return fields
}

// instantFormat has the milliseconds that records have.
const instantFormat = "2006-01-02T15:04:05.999Z07:00"

// instant is a time as text, as a number of nanoseconds ends in 2262; empty for
// none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(instantFormat)
}

// ending is the end of a record as it is stored, in whole seconds.
func ending(r *revocation.Record) time.Time {
	return r.Expires.Add(time.Second - 1).Truncate(time.Second)
}

// originOf is from where a request came and under which names other logs know
// it, as far as its context says so.
func originOf(ctx context.Context) (fields []zap.Field) {
	if address, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string); address != "" {
		fields = append(fields, zap.String("client_ip", address))
	}
	if id := requestID(ctx); id != "" {
		fields = append(fields, zap.String("uuid", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		fields = append(fields, zap.String("traceID", span.TraceID().String()))
	}
	return fields
}

// requestID is the `{http.request.uuid}` of a request to a site, which puts it
// into the line of the access log too.
func requestID(ctx context.Context) string {
	if ctx.Value(caddyhttp.ExtraLogFieldsCtxKey) == nil {
		return ""
	}
	replacer, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := replacer.GetString("http.request.uuid")
	return id
}
