package natscluster

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// Nodes reach a server through WebSockets, with and without TLS, and come back.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, key := ours.issue("server")
	for scheme, secured := range map[string]string{
		"ws":  "no_tls: true",
		"wss": fmt.Sprintf("tls { cert_file: %q, key_file: %q }", cert, key),
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			port := freePorts(t, 1)[0]
			s := configured(t, "", fmt.Sprintf("websocket { listen: \"127.0.0.1:%d\", %s }", port, secured))
			c := Config{URLs: []string{fmt.Sprintf("%s://127.0.0.1:%d", scheme, port)}}
			if scheme == "wss" {
				c.Options = []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ours.pool})}
			}
			nodes := append(levelNodes(t, 2, c), levelNode(t, Config{URLs: []string{address(s)}}))
			nodes[0].revoke(record(0))
			wants(t, nodes, record(0))
			check(t, nodes[1].engine.conn.Load().ForceReconnect())
			eventually(t, "the node notices", func() bool { return nodes[1].State().Syncs > 1 })
			nodes[1].isLevel()
			nodes[2].revoke(records(1, 100)...)
			wants(t, nodes, records(0, 100)...)
		})
	}
}

// With handshake_first the server says nothing before TLS, and a node that waits
// for it is told so.
func TestTLSFirst(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, key := ours.issue("server")
	s := configured(t, "", fmt.Sprintf("tls { cert_file: %q, key_file: %q, handshake_first: true }", cert, key))
	c := Config{
		URLs:    []string{strings.Replace(address(s), "nats://", "tls://", 1)},
		Options: []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ours.pool})},
	}
	n := newNode(t, c)
	eventually(t, "a node that is not first is told", func() bool { return strings.Contains(n.State().Lost, ErrDisconnected.Error()+": ") })
	t.Logf("it is told: %s", n.State().Lost)
	c.Options = append(c.Options, nats.TLSHandshakeFirst())
	levelNode(t, c).revoke(record(1))
}
