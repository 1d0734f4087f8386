package natscluster

import (
	"context"
	"net"
	"sync"
	"time"
)

// dialer makes the connections of an engine, one at a time, so that an attempt
// can be ended. It implements [nats.CustomDialer].
type dialer struct {
	ctx    context.Context // ends when the dialer hangs up
	cancel context.CancelFunc

	mu   sync.Mutex
	last net.Conn
}

func newDialer() *dialer {
	d := new(dialer)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Dial makes a connection, and closes that before. Until nats.go sets another
// deadline it ends by itself: nats.go has none for the handshake of a WebSocket.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	timed := net.Dialer{Timeout: connectTimeout}
	conn, err := timed.DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(connectTimeout))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		_ = d.last.Close()
	}
	d.last = conn
	if d.ctx.Err() != nil {
		_ = conn.Close()
	}
	return conn, nil
}

// drop closes the connection; nats.go makes another, to the next server.
func (d *dialer) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		_ = d.last.Close()
	}
}

// hangUp closes the connection and lets no other be made.
func (d *dialer) hangUp() {
	d.cancel()
	d.drop()
}
