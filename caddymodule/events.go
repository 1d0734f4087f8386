package caddymodule

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// The events. Of a dry run there is none: nothing is refused.
const (
	eventRevoked  = "token_revoked"
	eventRestored = "token_restored"
)

const (
	// eventTimeout is how long a revocation waits, before it is answered, for
	// the handlers of its events.
	eventTimeout = 2 * time.Second
	// maxEmitting is how many revocations may have handlers at work, also such
	// as nobody waits for any more. The events of any more are lost.
	maxEmitting = 64
)

// emitting has an entry for each of them. It outlives configurations, as
// handlers do that are stuck.
var emitting = make(chan struct{}, maxEmitting)

// events emits what happens to whoever has subscribed, in the name of the app.
type events struct {
	app     *caddyevents.App
	ctx     caddy.Context
	logger  *zap.Logger
	started chan struct{} // closed once the subscriptions are in place
	once    sync.Once
}

func newEvents(ctx caddy.Context) (*events, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	e := &events{app: app.(*caddyevents.App), ctx: ctx, logger: ctx.Logger(), started: make(chan struct{})}
	// A background command of a handler lives as long as the context does.
	e.ctx.Context = context.WithoutCancel(ctx.Context)
	return e, e.app.On("started", e)
}

// Handle learns that the configuration has started, and all of its apps.
func (e *events) Handle(context.Context, caddy.Event) error {
	e.once.Do(func() { close(e.started) })
	return nil
}

// emit tells of each record that refuses or was restored, one after the other,
// and waits until the handlers are done, or for [eventTimeout]. Whatever they do,
// the change stands.
func (a *App) emit(through way, records []revocation.Record) {
	limit := time.NewTimer(eventTimeout)
	defer limit.Stop()
	e := a.emitter(limit.C)
	if e == nil {
		a.logger.Error("events were lost, as Caddy has not started yet", zap.Int("records", len(records)))
		return
	}
	if !e.app.ShouldEmit(eventRevoked) && !e.app.ShouldEmit(eventRestored) {
		return
	}
	select {
	case emitting <- struct{}{}:
	case <-limit.C:
		a.logger.Error("events were lost, as too many handlers of events are at work", zap.Int("records", len(records)))
		return
	}
	done := make(chan struct{})
	records = slices.Clone(records) // which handlers may need for longer than the caller waits
	go func() {
		defer func() { <-emitting }()
		defer close(done)
		for i := range records {
			e.emit(through, &records[i])
		}
	}()
	select {
	case <-done:
	case <-limit.C:
		a.logger.Warn("handlers of events take long; they are not waited for", zap.Duration("waited", eventTimeout))
	}
}

// emitter is who has subscriptions: those of this configuration, once it has
// started; till then those of the one before it, if there is one. It is nil if
// nobody has in time.
func (a *App) emitter(late <-chan time.Time) *events {
	select {
	case <-a.events.started:
		return a.events
	default:
	}
	if active := runningApp(); active != nil {
		return active.events
	}
	select {
	case <-a.events.started:
		return a.events
	case <-late:
		return nil
	}
}

func (e *events) emit(through way, r *revocation.Record) {
	name := eventRevoked
	switch r.Effect {
	case revocation.Count:
		return
	case revocation.Restored:
		name = eventRestored
	}
	defer func() {
		if v := recover(); v != nil {
			e.logger.Error("a handler of events has panicked", zap.String("event", name),
				zap.String("error", fmt.Sprint(v)), zap.ByteString("stack", debug.Stack()))
		}
	}()
	e.app.Emit(e.ctx, name, map[string]any{
		"way":           string(through),
		"kind":          r.Key.Kind.String(),
		"digest":        r.Key.Prefix(),
		"by":            r.By,
		"operator":      r.Operator,
		"reason":        r.Reason,
		"issuer":        r.Issuer,
		"value":         r.Value,
		"issued_before": instant(r.IssuedBefore),
		"revoked_at":    instant(r.Revoked),
		"expires":       instant(ending(r)),
		"version":       r.Version,
	})
}

var _ caddyevents.Handler = (*events)(nil)
