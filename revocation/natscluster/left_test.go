package natscluster

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// nobody receives, and does not care.
type nobody struct{}

func (nobody) Snapshot(string) error                                      { return nil }
func (nobody) Deliver(context.Context, []revocation.Record, []byte) error { return nil }
func (nobody) Beat(uint64) error                                          { return nil }
func (nobody) Note([]byte) error                                          { return nil }

// A Sync that ends while its consumer is being made leaves none.
func TestConsumersLeft(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	levelNode(t, p.config()) // which makes the stream
	e, err := Open(p.config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	eventually(t, "there is a connection", func() bool { _, err := e.session(); return err == nil })
	base := p.Left()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(4000))*time.Microsecond)
				_ = e.Sync(ctx, nil, nobody{})
				cancel()
			}
		})
	}
	wg.Wait()
	// Before the server would forget them by itself.
	eventually(t, "no consumer is left", func() bool { return p.Left() <= base })
}
