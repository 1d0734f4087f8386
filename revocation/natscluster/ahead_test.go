package natscluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// What the server has sent ahead of a receiver that is busy is bounded.
func TestBoundedAhead(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	e, err := Open(p.config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	levelNode(t, p.config()) // which makes the stream
	list := records(0, cluster.MaxBatch)
	for i := range list {
		list[i].Reason = strings.Repeat("x", 800)
	}
	const batches = 32 // of nearly a megabyte each
	for range batches {
		if err := e.Apply(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	busy, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = e.Sync(ctx, nil, &stuck{busy: busy, release: release}) }()
	<-busy
	stats := e.conn.Load().Stats().InBytes
	eventually(t, "the server stops", func() bool {
		before := stats
		time.Sleep(300 * time.Millisecond)
		stats = e.conn.Load().Stats().InBytes
		return stats == before
	})
	if limit := uint64(2*aheadBytes + 2<<20); stats > limit {
		t.Errorf("%d bytes came to a receiver that is busy; want at most %d", stats, limit)
	}
}

// stuck is a receiver that is busy with what came first.
type stuck struct {
	busy    chan struct{}
	release chan struct{}
}

func (s *stuck) Snapshot(string) error { return nil }
func (s *stuck) Beat(uint64) error     { return nil }
func (s *stuck) Note([]byte) error     { return nil }
func (s *stuck) Deliver(context.Context, []revocation.Record, []byte) error {
	close(s.busy)
	<-s.release
	return errors.New("enough")
}
