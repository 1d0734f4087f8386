// Package clustertest holds every implementation of [cluster.Engine] to what the
// interface's comment says, and nodes that use it to what they promise.
package clustertest

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// Place is a running server of an engine, or several that act as one, with
// nothing in it. What fails in it ends the test.
type Place interface {
	// Open opens a connection more, as a node more would.
	Open() (cluster.Engine, error)
	// Grace is how long those engines keep a record beyond its end.
	Grace() time.Duration

	// Stop stops the server, and Start starts it again, at the same address and
	// with what it had made durable.
	Stop()
	Start()
	// Wipe removes what the stopped server had made durable.
	Wipe()
	// Save copies what the stopped server has made durable. What it returns puts
	// the copy in the place of what the stopped server has by then.
	Save() (restore func())

	// Left counts what engines hold at the server: connections, consumers and the
	// like.
	Left() int
	// Came is how many bytes have come from the server to one of those engines.
	Came(cluster.Engine) uint64

	// Spoil gives the running server a setting with which it may lose what it has
	// acknowledged, until mend is called.
	Spoil() (mend func())
}

// Run runs the whole suite. For each of its tests it asks for a new place.
func Run(t *testing.T, place func(t *testing.T) Place) {
	t.Run("close leaves nothing", func(t *testing.T) { closeLeavesNothing(t, place(t)) }) // alone, as it counts goroutines
	for _, test := range []struct {
		name string
		run  func(*fixture)
	}{
		{"what is acknowledged is in feed and snapshot", acknowledged},
		{"records of all kinds and sizes come as they are", asTheyAre},
		{"twice, shuffled and concurrently give one state", oneState},
		{"a shorter end and a lower version never win", neverLess},
		{"a storm during a snapshot loses nothing", stormDuringSnapshot},
		{"a slow receiver loses nothing", slowReceiver},
		{"what comes ahead of a slow receiver is bounded", boundedAhead},
		{"dangerous settings are reported", settingsReported},
		{"heartbeats follow what was acknowledged", beatsFollow},
		{"heartbeats are their own node's", beatsAreOwn},
		{"notes are everybody's", notesAreEverybodys},
		{"an error of the receiver ends the sync", receiverError},
		{"apply within its time", applyInTime},
		{"calls end at close", closeEnds},
		{"resume from every cursor", resume},
		{"resume after a restart", resumeAfterRestart},
		{"forged cursors", forged},
		{"a cursor of another place", foreign},
		{"a cursor at what has ended", ended},
		{"restored from older data", restored},
		{"restored and gone on", restoredAndGoneOn},
		{"wiped", wiped},
		{"kept until its end and grace", expiry},
		{"nodes: revoked and restored everywhere", nodesAgree},
		{"nodes: made whole after a wipe", nodesAfterWipe},
		{"nodes: made whole after older data", nodesAfterRestore},
		{"nodes: one that never knew, after a wipe", nodesNeverKnew},
		{"nodes: one that was away, after older data", nodesMissed},
		{"nodes: repairs that disturb nobody", nodesUndisturbed},
		{"nodes: repair once", nodesRepairOnce},
		{"nodes: away and back", nodesAway},
		{"nodes: more away than can be remembered", nodesForgotten},
		{"nodes: away, and closed meanwhile", nodesClosedAway},
		{"nodes: never fresher than they are", nodesTruthful},
		{"nodes: a slow store", nodesSlowStore},
		{"nodes: a storm with restarts", nodesStorm},
		{"nodes: reopened", nodesReopened},
		{"nodes: revoked alone while joining", nodesJoined},
		{"nodes: answered is in the file", nodesAnswered},
		{"nodes: asked for what is coming in", nodesAskedTwice},
		{"nodes: killed before all is in the file", nodesKilled},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(&fixture{T: t, place: place(t), places: func() Place { return place(t) }})
		})
	}
}

// fixture is one test and its place.
type fixture struct {
	*testing.T
	place  Place
	places func() Place
}

// open opens an engine and waits until it works.
func (f *fixture) open() cluster.Engine {
	f.Helper()
	engine := f.openAt(f.place)
	f.ready(engine)
	return engine
}

func (f *fixture) openAt(place Place) cluster.Engine {
	f.Helper()
	engine, err := place.Open()
	if err != nil {
		f.Fatalf("Open: %v", err)
	}
	f.Cleanup(func() { _ = engine.Close() })
	return engine
}

// ready waits until an engine works, for example after its server was away.
func (f *fixture) ready(engine cluster.Engine) {
	f.Helper()
	f.eventually("the engine works", func() bool {
		s := f.follow(engine, nil)
		defer s.stop()
		return s.reachesEnd(briefly)
	})
}

// apply applies records, at most MaxBatch at a time.
func (f *fixture) apply(engine cluster.Engine, records ...revocation.Record) {
	f.Helper()
	for len(records) > 0 {
		some := records[:min(len(records), cluster.MaxBatch)]
		if err := engine.Apply(f.Context(), some); err != nil {
			f.Fatalf("Apply: %v", err)
		}
		records = records[len(some):]
	}
}

// restart stops the server, has something done to it, and starts it.
func (f *fixture) restart(meanwhile func()) {
	f.place.Stop()
	meanwhile()
	f.place.Start()
}

// save is Place.Save between Stop and Start.
func (f *fixture) save() (restore func()) {
	f.restart(func() { restore = f.place.Save() })
	return restore
}

// patience is for how long something is waited for that has to come: the machine may be
// slow.
const patience = time.Minute

// eventually waits until something is so.
func (f *fixture) eventually(what string, so func() bool) {
	f.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// briefly is for how long something is waited for that is tried again.
const briefly = 5 * time.Second

func key(i int) revocation.Key {
	return revocation.Key{
		Kind:   revocation.KindToken,
		Digest: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))),
	}
}

// began is the hour in which the test runs, so that records live.
var began = time.Now().Truncate(time.Hour).UTC()

// record is the record of key(i), which lives for hours.
func record(i int) revocation.Record {
	return revocation.Record{Key: key(i), Revoked: began, Expires: began.Add(6 * time.Hour), By: "client", Reason: "test"}
}

// records are those of the numbers from up to, but not including, to.
func records(from, to int) (list []revocation.Record) {
	for i := from; i < to; i++ {
		list = append(list, record(i))
	}
	return list
}

func shuffled[T any](list []T) []T {
	list = append([]T(nil), list...)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// known is what one knows who has received records.
type known map[revocation.Key]revocation.Record

func (k known) add(records ...revocation.Record) {
	for _, r := range records {
		if before, ok := k[r.Key]; ok {
			r = revocation.Merge(before, r)
		}
		k[r.Key] = r
	}
}

// lacks is how many of the records k does not cover.
func (k known) lacks(records ...revocation.Record) (n int) {
	for _, r := range records {
		if has, ok := k[r.Key]; !ok || revocation.Merge(has, r) != has {
			n++
		}
	}
	return n
}
