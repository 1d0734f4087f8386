package natscluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// connectTimeout bounds each attempt to reach a server, and then its greeting.
	connectTimeout = 2 * time.Second
	// A server that says nothing for pingInterval*maxPings is given up.
	pingInterval, maxPings = time.Second, 3
	// All servers having been tried, the next round begins after minPause to maxPause:
	// one that comes back is found within about a second, and not by all nodes at once.
	minPause, maxPause = 200 * time.Millisecond, time.Second
	// patience is how long a Sync waits for a connection.
	patience = 5 * time.Second
)

func pause() time.Duration { return minPause + rand.N(maxPause-minPause) }

// ErrDisconnected says that there is no connection, and wraps why.
var ErrDisconnected = errors.New("not connected to NATS")

// session is a connection to NATS, from when it works until it is lost. When
// nats.go has reconnected, there is another, over the same connection.
type session struct {
	conn *nats.Conn
	js   jetstream.JetStream
	lost chan struct{} // closed when it is
}

func (s *session) over() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

// link is how an engine stands to NATS. It knows without asking the connection,
// which does not answer while it connects.
type link struct {
	mu      sync.Mutex
	session *session      // nil while there is none
	changed chan struct{} // closed when there is one
	why     error         // there is none; nil while that is not known
	told    bool          // to a Sync, that there is none, and why
	heeding map[*heeding]bool
}

func newLink() *link { return &link{changed: make(chan struct{}), heeding: make(map[*heeding]bool)} }

func (l *link) up(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	l.session, l.why = s, nil
	close(l.changed)
	l.changed = make(chan struct{})
}

// end ends the session, of which it says whether there was one.
func (l *link) end() bool {
	if l.session == nil {
		return false
	}
	close(l.session.lost)
	l.session = nil
	return true
}

func (l *link) down(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end() {
		l.told = true // by the end of the session
	}
	if why != nil {
		l.why = why
	}
	if !l.told { // whoever waits wants to know
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// now is the session that there is, or why there is none.
func (l *link) now() (*session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return nil, l.away()
	}
	return l.session, nil
}

func (l *link) away() error {
	if l.why == nil {
		return ErrDisconnected
	}
	return fmt.Errorf("%w: %w", ErrDisconnected, l.why)
}

// await is now, but waits for a session: until it is known for the first time why
// there is none, and then for as long as the patience lasts.
func (l *link) await(ctx context.Context, patience time.Duration) (*session, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for over := false; ; {
		l.mu.Lock()
		s, err, changed := l.session, l.away(), l.changed
		if s == nil && l.why != nil && !l.told {
			l.told, over = true, true
		}
		l.mu.Unlock()
		switch {
		case s != nil:
			return s, nil
		case over:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-timer.C:
			over = true
		case <-changed:
		}
	}
}

// refused tells whom it concerns what the server refused. It says that apart from
// any call, which would wait in vain.
func (l *link) refused(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.heeding {
		if one.concerned(why.Error()) {
			one.end(why)
		}
	}
}

// heeding is a call that ends when the server refuses something that concerns it.
type heeding struct {
	concerned func(refusal string) bool
	end       context.CancelCauseFunc
}

// heed returns a context that ends so, and must be ended.
func (l *link) heed(ctx context.Context, concerned func(refusal string) bool) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	one := &heeding{concerned, cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heeding[one] = true
	return ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.heeding, one)
		cancel(nil)
	}
}

// unanswered says whether an error means that a server is there, and JetStream is
// not.
func unanswered(err error) bool {
	var refused *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrNoHeartbeat) ||
		errors.As(err, &refused) && refused.Code == http.StatusServiceUnavailable
}

// elsewhere leaves a server for the next, if there is one: that which is cut off from
// the others keeps its connections, and can do nothing.
func (e *Engine) elsewhere(s *session) {
	if !s.over() && len(s.conn.Servers()) > 1 {
		e.dialer.drop()
	}
}
