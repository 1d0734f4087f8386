package natscluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// enter lets a call use the connection until it leaves. Its context ends with the
// engine.
func (e *Engine) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return nil, nil, revocation.ErrClosed
	}
	e.using.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(revocation.ErrClosed) })
	return ctx, func() { stop(); cancel(nil); e.using.Done() }, nil
}

// Close implements [cluster.Engine].
func (e *Engine) Close() error {
	e.mu.Lock()
	e.stop()
	e.mu.Unlock()
	e.using.Wait()
	e.conn.Close()
	return nil
}

// ErrDisconnected says that there is no connection, and wraps why.
var ErrDisconnected = errors.New("not connected to NATS")

// connected is nil, or ErrDisconnected.
func (e *Engine) connected() error {
	if e.conn.IsConnected() {
		return nil
	}
	return e.disconnected()
}

func (e *Engine) disconnected() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.away != nil {
		return fmt.Errorf("%w: %w", ErrDisconnected, e.away)
	}
	return ErrDisconnected
}

// notConnected notes why an attempt to connect failed, nil if it did not.
func (e *Engine) notConnected(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away = why
}
