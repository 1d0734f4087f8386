package natscluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// session is the session that there is.
func (e *Engine) session() (*session, error) {
	if e.ctx.Err() != nil {
		return nil, revocation.ErrClosed
	}
	return e.link.now()
}

// Close implements [cluster.Engine].
func (e *Engine) Close() error {
	e.mu.Lock()
	e.stop()
	e.mu.Unlock()
	e.hangUpUnlessConnected()
	e.using.Wait()
	e.over()
	e.connecting.Wait()
	return nil
}

// hangUpUnlessConnected ends an attempt to connect, for which the connection
// cannot be asked.
func (e *Engine) hangUpUnlessConnected() {
	if _, err := e.link.now(); err != nil {
		e.dialer.hangUp()
	}
}

// connectOptions are all options of the connection.
func (e *Engine) connectOptions() (o nats.Options, err error) {
	o = nats.GetDefaultOptions()
	for _, option := range append([]nats.Option{
		nats.Name("caddy-token-revocation"),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(func(int) time.Duration { e.failed(); return pause() }),
		nats.ReconnectBufSize(-1), // what cannot be sent now is an error now
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.Timeout(connectTimeout),
		nats.SetCustomDialer(e.dialer),
		nats.SkipHostLookup(),       // the dialer's lookup can be ended
		nats.IgnoreAuthErrorAbort(), // credentials may be mended on the server
		nats.ConnectHandler(e.connected),
		nats.ReconnectHandler(e.connected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, why error) { e.link.down(why) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, why error) { e.link.down(why) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { e.link.refused(err) }),
	}, e.c.Options...) {
		if err := option(&o); err != nil {
			return o, fmt.Errorf("options of the connection to NATS: %w", err)
		}
	}
	o.Servers = e.c.URLs
	return o, nil
}

// Check finds what is wrong in a configuration, as far as that can be known
// without connecting. An error holds no secret.
func (c Config) Check() error {
	if err := checkURLs(c.URLs); err != nil {
		return err
	}
	for name, value := range map[string]string{"stream": c.Stream, "prefix": c.Prefix, "domain": c.Domain} {
		if strings.ContainsAny(value, " \t\r\n*>/\\") || name != "prefix" && strings.Contains(value, ".") ||
			strings.HasPrefix(value, ".") || strings.HasSuffix(value, ".") || strings.Contains(value, "..") || strings.HasPrefix(value, "$") {
			return fmt.Errorf("%s: %q is not a name that NATS allows", name, value)
		}
	}
	o := nats.GetDefaultOptions()
	for _, option := range c.Options {
		if err := option(&o); err != nil {
			return fmt.Errorf("options of the connection to NATS: %w", err)
		}
	}
	return nil
}

// checkURLs finds what nats.go would find late, or say with a password in it.
func checkURLs(urls []string) error {
	if len(urls) == 0 {
		return errors.New("no server of NATS is named")
	}
	webSockets := 0
	for i, text := range urls {
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" {
			return fmt.Errorf("server %d of %d is not a URL such as nats://nats1:4222", i+1, len(urls))
		}
		if strings.HasPrefix(u.Scheme, "ws") {
			webSockets++
		}
	}
	if webSockets > 0 && webSockets < len(urls) {
		return errors.New("ws:// and wss:// cannot be mixed with other URLs")
	}
	return nil
}

// keepConnected keeps a connection until the engine is over: nats.go gives one up
// for ever after some errors, and does not try again what fails at first.
func (e *Engine) keepConnected(o nats.Options) {
	closed := make(chan struct{}, 1)
	o.ClosedCB = func(*nats.Conn) { closed <- struct{}{} }
	for e.end.Err() == nil {
		conn, err := o.Connect()
		if err == nil {
			select {
			case <-closed:
				err = conn.LastError()
			case <-e.end.Done():
				e.hangUpUnlessConnected()
				conn.Close()
				<-closed
			}
		}
		e.link.down(err)
		sleep(e.end, pause())
	}
}

// failed takes note of why a server would not have us back. (Of those that cannot
// be reached nats.go tells.)
func (e *Engine) failed() {
	if conn := e.conn.Load(); conn != nil && conn.LastError() != nil {
		e.link.down(conn.LastError())
	}
}

// connected begins a session.
func (e *Engine) connected(conn *nats.Conn) {
	e.conn.Store(conn)
	if !conn.IsConnected() { // any more
		return
	}
	patience := jetstream.WithDefaultTimeout(askTimeout)
	js, err := jetstream.New(conn, patience)
	if e.c.Domain != "" {
		js, err = jetstream.NewWithDomain(conn, e.c.Domain, patience)
	}
	if err != nil {
		e.link.down(fmt.Errorf("using JetStream: %w", err))
		return
	}
	e.link.up(&session{conn: conn, js: js, lost: make(chan struct{})})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
