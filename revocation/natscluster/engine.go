// Package natscluster shares a denylist through a stream of NATS JetStream.
package natscluster

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// Defaults of [Config].
const (
	DefaultStream = "TOKEN_REVOCATION"
	DefaultPrefix = "token_revocation"
	DefaultGrace  = time.Hour
)

// Config is where the stream is, and how it is made if it is not there.
type Config struct {
	// URLs of one or more servers of one NATS cluster.
	URLs []string
	// Options are those of the connection, for credentials and TLS.
	Options []nats.Option
	// Stream is the name of the stream; empty is DefaultStream. Nodes share a
	// denylist if they share a stream.
	Stream string
	// Prefix is the first part of the subjects of the stream; empty is
	// DefaultPrefix.
	Prefix string
	// Domain is the JetStream domain of the stream, as seen from a leaf node;
	// empty is that of the server.
	Domain string
	// Replicas is how many servers keep the stream, if it has to be made; 0 is one.
	Replicas int
	// MaxBytes bounds the stream, if it has to be made: of records nine tenths of it
	// are taken, and the rest is for heartbeats. 0 is no bound but the account's.
	MaxBytes int64
	// Monitor are URLs of the servers' monitoring endpoints, such as
	// http://nats1:8222: only there do they say whether what they acknowledge
	// survives a loss of power, which is warned about. Empty is not to ask.
	Monitor []string
	// MonitorTLS is how those prove who they are, if asked by https; nil is Go's
	// default.
	MonitorTLS *tls.Config
	// Leeway is how long beyond its end a record matters to the nodes.
	Leeway time.Duration
	// Grace is how long beyond that the stream keeps it, for nodes whose clocks are
	// behind; 0 is DefaultGrace.
	Grace time.Duration
}

// Engine implements [cluster.Engine].
type Engine struct {
	c    Config
	node string // in the subject of this node's heartbeats

	link    *link
	dialer  *dialer
	monitor *monitor
	conn    atomic.Pointer[nats.Conn] // once there was one; see link

	ctx        context.Context // ends when the engine is closed
	stop       context.CancelFunc
	using      sync.WaitGroup  // the calls under way
	end        context.Context // ends when they have ended
	over       context.CancelFunc
	connecting sync.WaitGroup // what keeps the connection

	mu         sync.Mutex
	warnings   []string // about the stream
	unsynced   []string // about the servers
	maxMessage int      // of the stream, in bytes; 0 if it sets no limit
	full       bool     // the stream is, and takes no more records
}

var _ cluster.Engine = (*Engine)(nil)

// Open begins to connect, and goes on trying for ever: a server that is not there
// is no error. It returns at once.
func Open(c Config) (*Engine, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	c.setDefaults()
	e := &Engine{c: c, node: nuid.Next(), link: newLink(), dialer: newDialer(), monitor: newMonitor(c.Monitor, c.MonitorTLS)}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.end, e.over = context.WithCancel(context.Background())
	options, err := e.connectOptions()
	if err != nil {
		return nil, err
	}
	e.connecting.Go(func() { e.keepConnected(options) })
	return e, nil
}

func (c *Config) setDefaults() {
	if c.Stream == "" {
		c.Stream = DefaultStream
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = -1
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	c.Leeway, c.Grace = min(c.Leeway, forever), min(c.Grace, forever) // for their sum
}

func (e *Engine) records() string         { return e.c.Prefix + ".records" }
func (e *Engine) notes() string           { return e.beats("all") }
func (e *Engine) beats(who string) string { return e.c.Prefix + ".beat." + who }

// Apply implements [cluster.Engine]. All records are one message, which lives as
// long as the last of them, or several at once where that is too large for the
// server.
func (e *Engine) Apply(ctx context.Context, records []revocation.Record) error {
	s, err := e.session()
	if err != nil {
		return err
	}
	if err := e.checkRoom(); err != nil {
		return err
	}
	body := cluster.AppendRecords(nil, records)
	if len(body) > e.room(s) && len(records) > 1 {
		half := len(records) / 2
		other := make(chan error)
		go func() { other <- e.Apply(ctx, records[half:]) }()
		err := e.Apply(ctx, records[:half])
		return cmp.Or(err, <-other)
	}
	var end time.Time
	for i := range records {
		if records[i].Expires.After(end) {
			end = records[i].Expires
		}
	}
	life := min(time.Until(end), forever) + e.c.Leeway + e.c.Grace
	return e.send(ctx, e.records(), body, life)
}

// room is how large the body of a message may be.
func (e *Engine) room(s *session) int {
	room := int(s.conn.MaxPayload())
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.maxMessage > 0 && e.maxMessage < room {
		room = e.maxMessage
	}
	return max(room-overhead, 0)
}

// overhead is room for subject and header fields of a message.
const overhead = 1024

// Beat implements [cluster.Engine].
func (e *Engine) Beat(ctx context.Context, beat uint64) error {
	return e.send(ctx, e.beats(e.node), []byte(strconv.FormatUint(beat, 10)), time.Minute)
}

// Note implements [cluster.Engine].
func (e *Engine) Note(ctx context.Context, note []byte) error {
	return e.send(ctx, e.notes(), note, time.Minute)
}

// forever is the time from which on a message is kept until it is removed; the
// server knows no longer times.
const forever = 50 * 365 * 24 * time.Hour

// sendTimeout bounds how long a publication waits for its answer, if its caller has
// no less time: nats.go would take the time for questions.
const sendTimeout = 10 * time.Second

// send publishes a message and waits until the stream has it. Its answer comes
// when it is as durable as the stream is configured to make it.
func (e *Engine) send(ctx context.Context, subject string, body []byte, life time.Duration) error {
	ctx, leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s, err := e.session()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	ctx, done := e.link.heed(ctx, func(refusal string) bool { return strings.Contains(refusal, subject) })
	defer done()
	message := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	if life < forever {
		seconds := max(int64(life/time.Second)+1, 1)
		message.Header.Set(jetstream.MsgTTLHeader, strconv.FormatInt(seconds, 10)+"s")
	}
	_, err = s.js.PublishMsg(ctx, message, jetstream.WithExpectStream(e.c.Stream), jetstream.WithRetryAttempts(0))
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("publishing to stream %s: %w", e.c.Stream, e.noRoom(err))
}

// Warnings implements [cluster.Engine].
func (e *Engine) Warnings() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Concat(e.warnings, e.unsynced)
}
