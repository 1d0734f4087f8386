package natscluster

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lookEvery is about how often the stream is looked at.
const lookEvery = 5 * time.Second

// watch looks after the stream while it is being read, until ctx ends or it can be
// used no more.
func (e *Engine) watch(ctx context.Context, stream jetstream.Stream) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	replicas := stream.CachedInfo().Config.Replicas
	wg.Go(func() { e.watchServers(ctx, replicas) })
	for {
		if sleep(ctx, lookEvery/2+rand.N(lookEvery)); ctx.Err() != nil {
			return nil
		}
		asking, done := context.WithTimeout(ctx, askTimeout)
		info, err := stream.Info(asking)
		done()
		if err != nil { // which shows in the reading
			continue
		}
		if err := e.inspect(info); err != nil {
			return err
		}
	}
}

// watchServers asks the servers how they sync.
func (e *Engine) watchServers(ctx context.Context, replicas int) {
	for len(e.monitor.urls) > 0 && ctx.Err() == nil {
		warnings := e.monitor.unsynced(ctx, replicas)
		if ctx.Err() == nil {
			e.mu.Lock()
			e.unsynced = warnings
			e.mu.Unlock()
		}
		sleep(ctx, monitorEvery)
	}
}

// inspect looks for settings with which the stream would not do, or not well, and
// how full it is.
func (e *Engine) inspect(info *jetstream.StreamInfo) error {
	if err := e.unusable(&info.Config); err != nil {
		return err
	}
	warnings := e.unwise(info)
	if warning := filling(info); warning != "" {
		warnings = append(warnings, warning)
	}
	share, _ := filled(info)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.warnings, e.maxMessage, e.full = warnings, max(int(info.Config.MaxMsgSize), 0), share >= fullFrom
	return nil
}
