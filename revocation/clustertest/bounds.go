package clustertest

import (
	"strings"
	"sync"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// maxAhead bounds the bytes that come while what came first is not received yet.
const maxAhead = 20 << 20

// boundedAhead asserts that an engine does not take in without bound what nobody
// receives, and delivers it when somebody does.
func boundedAhead(f *fixture) {
	writer, other := f.open(), f.open()
	list := records(0, cluster.MaxBatch)
	for i := range list {
		list[i].Reason = strings.Repeat("x", 800)
	}
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	s := f.followWith(other, nil, func([]revocation.Record) error { <-gate; return nil })
	defer open() // before anything waits for the Sync to end
	before := f.place.Came(other)
	const batches = 40 // of nearly a megabyte each
	for range batches {
		f.apply(writer, list...)
	}
	var came uint64
	f.eventually("no more comes", func() bool {
		last := came
		time.Sleep(300 * time.Millisecond) // in which megabytes would
		came = f.place.Came(other) - before
		return came == last
	})
	if came > maxAhead {
		f.Errorf("%d bytes came to a receiver that is busy; want at most %d", came, maxAhead)
	}
	open()
	f.apply(writer, record(cluster.MaxBatch)) // the last to come
	s.wants(records(cluster.MaxBatch, cluster.MaxBatch+1)...)
	s.wants(list...)
}

// settingsReported asserts that an engine says of its server, while that runs, that
// it cannot keep what it promises.
func settingsReported(f *fixture) {
	engine := f.open()
	s := f.follow(engine, nil)
	s.mustReachEnd()
	if warnings := engine.Warnings(); len(warnings) > 0 {
		f.Errorf("warnings of a server that keeps its promises: %q", warnings)
	}
	warned := func() bool {
		if s.hasEnded() { // as one may on a slow machine
			s = f.follow(engine, nil)
		}
		return len(engine.Warnings()) > 0
	}
	mend := f.place.Spoil()
	f.eventually("the setting is reported", warned)
	mend()
	f.eventually("it is no longer reported", func() bool { return !warned() })
}
