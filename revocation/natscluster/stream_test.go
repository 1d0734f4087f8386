package natscluster

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
)

// A stream that is deleted under its nodes is made anew by them, whole.
func TestStreamDeleted(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	nodes := levelNodes(t, 2, p.config())
	nodes[0].revoke(records(0, 300)...)
	wants(t, nodes, records(0, 300)...)
	js, began := operator(t, p.server.ClientURL()), time.Now()
	deleteStream(t, js)
	eventually(t, "nodes notice and repair", func() bool {
		return nodes[0].State().Repaired+nodes[1].State().Repaired >= 300
	})
	wants(t, []*node{levelNode(t, p.config())}, records(0, 300)...)
	for _, n := range nodes {
		n.isLevel()
	}
	stream, err := js.Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	if waited := stream.CachedInfo().Created.Sub(began); waited < deleting {
		t.Errorf("the stream was made anew after %s, when the server may not have deleted it", waited)
	}
}

// Somebody else's stream of the name, made between deletion and repair, is used if
// it will do; its cursor is not taken for that of the first.
func TestStreamMadeByOperator(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	js := operator(t, p.server.ClientURL())
	config := jetstream.StreamConfig{
		Name: DefaultStream, Subjects: []string{DefaultPrefix + ".>"}, AllowMsgTTL: true, AllowDirect: true,
		Discard: jetstream.DiscardNew, MaxMsgSize: 4096, MaxMsgs: 100_000,
	}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	n := levelNode(t, p.config())
	n.revoke(records(0, 500)...) // in messages of at most MaxMsgSize
	if err := js.DeleteStream(t.Context(), DefaultStream); err != nil {
		t.Fatal(err)
	}
	// Which the node does too, with a stream of its own, if it is faster.
	eventually(t, "the operator makes the stream anew", func() bool {
		_, err := js.CreateStream(t.Context(), config)
		if err == nil && answers(t, js) {
			return true
		}
		_ = js.DeleteStream(t.Context(), DefaultStream)
		return false
	})
	other := levelNode(t, p.config())
	wants(t, []*node{other}, records(0, 500)...)
	if w := strings.Join(other.State().Warnings, "\n"); !strings.Contains(w, "max_msg_size") || !strings.Contains(w, "deny_purge") {
		t.Errorf("the warnings are %q", w)
	}
}

// A consumer that is deleted under its node costs a new one, and nothing else.
func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	nodes := levelNodes(t, 2, p.config())
	nodes[0].revoke(record(0))
	wants(t, nodes, record(0))
	for _, n := range nodes {
		eventually(t, "a cursor is kept", func() bool { c, err := n.list.Cursor(); return err == nil && c != nil })
	}
	stream, err := operator(t, p.server.ClientURL()).Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if err := stream.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		deleted++
	}
	if deleted != 2 {
		t.Errorf("%d nodes had %d consumers", len(nodes), deleted)
	}
	nodes[1].revoke(records(1, 50)...)
	wants(t, nodes, records(0, 50)...)
	for _, n := range nodes {
		n.isLevel()
		if s := n.State(); s.Syncs < 2 || snapshots(s) != s.Snapshots["no_cursor"] {
			t.Errorf("the node is %+v; want a second sync without a snapshot", s)
		}
	}
}

// What a node cannot read in the stream stops it: word from the cluster ends, so
// that the gate refuses, and nothing that follows is taken for all there is.
func TestGarbage(t *testing.T) {
	t.Parallel()
	unknown := record(1)
	unknown.Key.Kind = 99
	issued := record(2)
	issued.Key.Kind = revocation.KindIssuer
	for name, garbage := range map[string][]byte{
		"nothing":         {},
		"text":            []byte("garbage"),
		"a newer format":  {2, 1, 2, 3},
		"cut off":         cluster.AppendRecords(nil, records(0, 2))[:50],
		"an unknown kind": cluster.AppendRecords(nil, []revocation.Record{unknown}),
		"a wrong rule":    cluster.AppendRecords(nil, []revocation.Record{issued}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, nil)
			n := levelNode(t, p.config())
			js := operator(t, p.server.ClientURL())
			_, err := js.Publish(t.Context(), DefaultPrefix+".records", garbage)
			check(t, err)
			put := time.Now()
			eventually(t, "the node says that it is lost", func() bool {
				s := n.State()
				return s.Lost != "" && s.Staleness >= time.Since(put)
			})
			for range 20 { // through several attempts
				time.Sleep(20 * time.Millisecond)
				since := time.Since(put) // before the state
				if s := n.State(); s.Staleness < since || n.Fresh(since) {
					t.Fatalf("the node is fresh again: %+v", s)
				}
			}
			// The engine still takes and keeps what it is given. But this node cannot know
			// what others decided before.
			if err := n.list.Revoke(t.Context(), record(7)); !errors.Is(err, revocation.ErrAway) {
				t.Errorf("Revoke = %v", err)
			}
			if !n.knows(record(7)) {
				t.Error("what was revoked meanwhile passes")
			}
			// An operator takes it away: of a stream that denies it, with its data.
			deleteStream(t, js)
			n.isLevel()
			wants(t, []*node{levelNode(t, p.config())}, record(7))
		})
	}
}

// With a small max_payload a batch becomes many messages.
func TestMaxPayload(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(o *server.Options) { o.MaxPayload = 8 << 10 })
	nodes := levelNodes(t, 2, p.config())
	list := records(0, 200)
	for i := range list {
		list[i].Reason = strings.Repeat("x", 1000)
	}
	nodes[0].revoke(list...)
	wants(t, nodes, list...)
}

// A max_payload that is too small for some records is reported.
func TestMaxPayloadTooSmall(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(o *server.Options) { o.MaxPayload = 6 << 10 })
	n := levelNode(t, p.config())
	if w := strings.Join(n.State().Warnings, "\n"); !strings.Contains(w, "max_payload") {
		t.Errorf("the warnings are %q", w)
	}
}

// A full stream takes no more records, says so, forgets nothing, and goes on
// taking heartbeats: nobody is stale for it.
func TestStreamFull(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	c := p.config()
	c.MaxBytes = 4 << 20 // of which the heartbeats of a minute leave some
	nodes := levelNodes(t, 2, c)
	n := nodes[0]
	warned := func(text string) func() bool {
		return func() bool { return strings.Contains(strings.Join(n.State().Warnings, "\n"), text) }
	}
	var known []revocation.Record
	next := 0
	revoke := func(count int) error {
		list := records(next, next+count)
		next += count
		err := n.tryRevoke(list...)
		known = append(known, list...) // also what did not fit
		return err
	}
	stream, err := operator(t, p.server.ClientURL()).Stream(t.Context(), DefaultStream)
	check(t, err)
	share := func() float64 {
		info, err := stream.Info(t.Context())
		check(t, err)
		share, _ := filled(info)
		return share
	}
	for share() < 0.82 {
		check(t, revoke(800))
	}
	eventually(t, "there is a warning", warned("from 90 % on revocations are refused: set max_bytes"))
	for share() < fullFrom {
		check(t, revoke(400))
	}
	eventually(t, "there is another", warned("and revocations are refused: set max_bytes"))
	err = revoke(1)
	if !errors.Is(err, revocation.ErrAway) || !errors.Is(err, ErrFull) {
		t.Fatalf("Revoke = %v; want ErrAway and ErrFull", err)
	}
	if !n.knows(known...) {
		t.Error("what did not fit passes where it was revoked")
	}
	syncs := n.State().Syncs
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		for _, n := range nodes {
			n.isLevel() // by a heartbeat that was sent since
		}
	}
	if s := n.State(); s.Owed != 1 || s.Syncs != syncs {
		t.Errorf("the node is %+v; want 1 owed and %d syncs", s, syncs)
	}
	// With room again, all goes on, and what did not fit is sent again.
	p.changeStream(func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
	wants(t, []*node{nodes[1], levelNode(t, c)}, known...)
	if w := n.State().Warnings; len(w) > 0 {
		t.Errorf("the warnings are %q", w)
	}
}

// A gateway that has what a full stream lacks goes on serving, and sends it once there
// is room: it asks neither for everything nor for room again and again.
func TestStreamFullRepair(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	c := p.config()
	c.MaxBytes = 1 << 20
	n := levelNode(t, c)
	js := operator(t, p.server.ClientURL())
	stream, err := js.Stream(t.Context(), DefaultStream)
	check(t, err)
	next := 0
	for share := 0.0; share < fullFrom+0.01; next += 100 { // not through a node, which refuses the last if it has just looked
		_, err := js.Publish(t.Context(), DefaultPrefix+".records", cluster.AppendRecords(nil, records(next, next+100)))
		check(t, err)
		info, err := stream.Info(t.Context())
		check(t, err)
		share, _ = filled(info)
	}
	check(t, n.Close()) // nobody vouches for the stream
	list := newList(t)
	lacking := records(next, next+10)
	check(t, list.Revoke(t.Context(), lacking...)) // alone
	var refused atomic.Int32
	late := join(t, list, c, cluster.Options{
		Beat: 50 * time.Millisecond, Silence: 3 * time.Second, Retry: 300 * time.Millisecond, Spread: 300 * time.Millisecond, Settle: 600 * time.Millisecond,
		Tell: func(e cluster.Event) {
			if e.What == "refused" {
				refused.Add(1)
			}
		},
	})
	eventually(t, "what is lacking is refused", func() bool { return refused.Load() > 1 })
	late.isLevel()
	if s := late.State(); s.Syncs != 1 || snapshots(s) != 1 {
		t.Errorf("the node is %+v; want one sync and one snapshot", s)
	}
	p.changeStream(func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
	wants(t, []*node{levelNode(t, c)}, lacking...)
	eventually(t, "a cursor is kept", func() bool { cursor, err := list.Cursor(); return err == nil && cursor != nil })
}

// What did not reach the cluster is sent in portions, and that one is not taken makes
// nobody send the others again and again.
func TestOwedPortions(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	n := levelNode(t, p.config())
	const count = 2 * cluster.MaxBatch
	n.revoke(record(1 + count))
	// Or the next Sync would compare all, and a repair send some of it as well.
	eventually(t, "a cursor is kept", func() bool { c, err := n.list.Cursor(); return err == nil && c != nil })
	p.changeStream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2048 })
	p.Stop()
	large := record(0)
	large.Reason = strings.Repeat("r", revocation.MaxText)
	large.By = strings.Repeat("b", revocation.MaxText)
	for _, list := range [][]revocation.Record{records(1, 1+count), {large}} {
		if err := n.list.Revoke(t.Context(), list...); !errors.Is(err, revocation.ErrAway) {
			t.Fatalf("Revoke = %v; want ErrAway", err)
		}
	}
	p.Start()
	eventually(t, "all but one were sent", func() bool { return n.State().Owed == 1 })
	n.isLevel()
	before := n.State().Received
	for range 20 { // at each of these heartbeats it could be sent again
		n.isLevel()
	}
	if again := n.State().Received - before; again > 0 {
		t.Errorf("%d records were sent again", again)
	}
	// A node that is new waits until the last is there as well.
	p.changeStream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
	wants(t, []*node{levelNode(t, p.config())}, append(records(1, 1+count), large)...)
}

// A stream that somebody else fills to the brim loses word for a while, and
// nothing else.
func TestStreamBrimful(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	c := p.config()
	c.MaxBytes = 256 << 10
	n := levelNode(t, c)
	n.revoke(records(0, 10)...)
	js := operator(t, p.server.ClientURL())
	for {
		if _, err := js.Publish(t.Context(), DefaultPrefix+".other", make([]byte, 100)); err != nil {
			break
		}
	}
	filled := time.Now()
	eventually(t, "word ends", func() bool {
		return n.State().Staleness > 200*time.Millisecond && time.Since(filled) > 200*time.Millisecond
	})
	if err := n.list.Revoke(t.Context(), record(10)); !errors.Is(err, ErrFull) {
		t.Errorf("Revoke = %v; want ErrFull", err)
	}
	eventually(t, "the node says why", func() bool {
		s := n.State()
		return strings.Contains(s.Lost, ErrFull.Error()) && strings.Contains(fmt.Sprint(s.Warnings), "it is full to")
	})
	p.changeStream(func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 })
	n.isLevel()
	wants(t, []*node{levelNode(t, c)}, records(0, 11)...)
}

// openConnected is an engine that has a connection.
func openConnected(t *testing.T, c Config) *Engine {
	t.Helper()
	e, err := Open(c)
	check(t, err)
	t.Cleanup(func() { _ = e.Close() })
	eventually(t, "there is a connection", func() bool { _, err := e.session(); return err == nil })
	return e
}

// A message lives as long as the last of its records matters, and one with records that
// never end for ever.
func TestMessageTTL(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	levelNode(t, p.config()) // which makes the stream
	const leeway = 2 * time.Hour
	c := p.config()
	c.Leeway = leeway
	e, boundless := openConnected(t, c), openConnected(t, func() Config {
		c := c
		c.Leeway, c.Grace = math.MaxInt64, math.MaxInt64
		return c
	}())
	// As they are sent: what lives a second may be gone before the stream is asked.
	conn := operator(t, p.server.ClientURL()).Conn()
	sent, err := conn.SubscribeSync(DefaultPrefix + ".records")
	check(t, err)
	check(t, conn.FlushTimeout(30*time.Second)) // the server knows of it
	now := time.Now()
	for _, c := range []struct {
		by       *Engine
		expires  time.Time
		from, to time.Duration // 0 is for ever
	}{
		{e, now.Add(time.Hour), leeway + time.Hour + testGrace - time.Minute, leeway + time.Hour + testGrace + 2*time.Second},
		{e, now.Add(-time.Hour), leeway - time.Hour + testGrace - time.Minute, leeway - time.Hour + testGrace + 2*time.Second},
		{e, now.Add(-4 * time.Hour), time.Second, time.Second},
		{e, now.Add(forever - 3*time.Hour), forever - 2*time.Hour, forever},
		{e, now.Add(forever + time.Hour), 0, 0},
		{e, now.AddDate(290, 0, 0), 0, 0},
		{e, revocation.MaxExpires, 0, 0},
		{boundless, now.Add(time.Hour), 0, 0},
		{boundless, revocation.MaxExpires, 0, 0},
	} {
		short, long := record(1), record(2)
		short.Expires, long.Expires = now.Add(-5*time.Hour), c.expires
		check(t, c.by.Apply(t.Context(), []revocation.Record{long, short}))
		m, err := sent.NextMsg(30 * time.Second)
		check(t, err)
		var life time.Duration
		if text := m.Header.Get(jetstream.MsgTTLHeader); text != "" {
			life, err = time.ParseDuration(text)
			check(t, err)
		}
		if life < c.from || life > c.to {
			t.Errorf("a record that ends %s is kept for %s; want %s to %s", c.expires, life, c.from, c.to)
		}
	}
}

// Where the last record of all ends, the server may say so in the stream.
func TestSubjectDeleteMarkers(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	js := operator(t, p.server.ClientURL())
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: DefaultStream, Subjects: []string{DefaultPrefix + ".>"}, AllowMsgTTL: true,
		SubjectDeleteMarkerTTL: 5 * time.Second, // to be seen; and so long messages live at least
	})
	check(t, err)
	c := p.config()
	c.Grace = time.Millisecond
	n := levelNode(t, c)
	short := record(1)
	short.Expires = time.Now().Add(3 * time.Second) // or it has ended before it is revoked
	n.revoke(short)
	stream, err := js.Stream(t.Context(), DefaultStream)
	check(t, err)
	eventually(t, "the server says that it has gone", func() bool {
		m, err := stream.GetLastMsgForSubject(t.Context(), DefaultPrefix+".records")
		return err == nil && m.Header.Get(jetstream.MarkerReasonHeader) != ""
	})
	n.revoke(record(2))
	wants(t, []*node{levelNode(t, c)}, record(2))
	n.isLevel()
	if s := n.State(); s.Syncs != 1 {
		t.Errorf("the node is %+v", s)
	}
}

// What the stream must not be is an error that names the remedy, and what it had
// better not be a warning.
func TestStreamSettings(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	js := operator(t, p.server.ClientURL())
	for name, c := range map[string]struct {
		set    func(*jetstream.StreamConfig)
		lost   string
		warned []string
	}{
		"without TTL":    {set: func(c *jetstream.StreamConfig) { c.AllowMsgTTL = false }, lost: "set allow_msg_ttl"},
		"a work queue":   {set: func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, lost: "retention policy limits"},
		"one consumer":   {set: func(c *jetstream.StreamConfig) { c.MaxConsumers = 1 }, lost: "every node needs one"},
		"no answers":     {set: func(c *jetstream.StreamConfig) { c.NoAck = true }, lost: "unset no_ack"},
		"other subjects": {set: func(c *jetstream.StreamConfig) { c.Subjects = []string{"other_subjects.records"} }, lost: "add other_subjects.>"},
		"no records":     {set: func(c *jetstream.StreamConfig) { c.Subjects = []string{"no_records.beat.*"} }, lost: "add no_records.>"},
		"transformed": {set: func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: ">", Destination: "x.>"}
		}, lost: "unset subject_transform"},
		"counters":          {set: func(c *jetstream.StreamConfig) { c.AllowMsgCounter, c.AllowMsgTTL, c.DenyDelete = true, false, false }, lost: "stream counters"},
		"in memory":         {set: func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, warned: []string{"storage"}},
		"not on disk":       {set: func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, warned: []string{"persist_mode"}},
		"ends early":        {set: func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, warned: []string{"max_age"}},
		"forgets when full": {set: func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, warned: []string{"discard"}},
		"forgets at many":   {set: func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 << 20 }, warned: []string{"discard"}},
		"one per subject":   {set: func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, warned: []string{"max_msgs_per_subject", "discard"}},
		"can be purged":     {set: func(c *jetstream.StreamConfig) { c.DenyPurge = false }, warned: []string{"deny_purge"}},
		"small messages":    {set: func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2000 }, warned: []string{"max_msg_size"}},
		"few consumers":     {set: func(c *jetstream.StreamConfig) { c.MaxConsumers = 2 }, warned: nil},
		"harmless": {set: func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"harmless.*", "harmless.beat.*"}
			c.Duplicates, c.Compression, c.AllowDirect, c.FirstSeq = time.Second, jetstream.S2Compression, true, 1000
			c.Discard, c.MaxBytes, c.MaxMsgs = jetstream.DiscardNew, 1<<30, 1<<30
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copies.>"}
			c.AllowAtomicPublish, c.AllowBatchPublish = true, true
		}},
	} {
		prefix := strings.ReplaceAll(name, " ", "_")
		set := jetstream.StreamConfig{Name: prefix, Subjects: []string{prefix + ".>"}, AllowMsgTTL: true, DenyDelete: true, DenyPurge: true}
		c.set(&set)
		if _, err := js.CreateStream(t.Context(), set); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		config := p.config()
		config.Stream, config.Prefix = prefix, prefix
		n := newNode(t, config)
		var s cluster.State
		eventually(t, name+" is reported", func() bool { s = n.State(); return s.Level || c.lost != "" && strings.Contains(s.Lost, c.lost) })
		warnings := strings.Join(s.Warnings, "\n")
		if c.lost != "" && (s.Level || !strings.Contains(s.Lost, c.lost)) || c.lost == "" && !s.Level ||
			(len(c.warned) == 0) != (warnings == "") || slices.ContainsFunc(c.warned, func(w string) bool { return !strings.Contains(warnings, w) }) {
			t.Errorf("%s: the node is %+v; want %q or warnings %q", name, s, c.lost, c.warned)
		}
	}
	n := levelNode(t, p.config())
	if w := n.State().Warnings; len(w) > 0 {
		t.Errorf("of a stream of its own making a node says %q", w)
	}
}

// Also settings that change under a running node are noticed.
func TestStreamSealed(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	n := levelNode(t, p.config())
	p.changeStream(func(c *jetstream.StreamConfig) { c.Sealed = true })
	eventually(t, "the node says so", func() bool { s := n.State(); return !s.Level && strings.Contains(s.Lost, "sealed") })
}

// Nodes that find no stream make one, also at the same time.
func TestStreamMadeOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	var nodes []*node
	for range 8 {
		nodes = append(nodes, newNode(t, p.config()))
	}
	for _, n := range nodes {
		n.isLevel()
		if s := n.State(); snapshots(s) != s.Snapshots[cluster.ReasonNoCursor] {
			t.Errorf("the node is %+v", s)
		}
	}
	nodes[3].revoke(record(1))
	wants(t, nodes, record(1))
}

// A message that nobody understands stops all nodes, and is gone once the stream is
// deleted: nodes make it whole again, as the documentation says.
func TestStreamForeign(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	nodes := levelNodes(t, 2, p.config())
	nodes[0].revoke(records(0, 10)...)
	wants(t, nodes, records(0, 10)...)
	js := operator(t, p.server.ClientURL())
	_, err := js.Publish(t.Context(), DefaultPrefix+".records", []byte("hello"))
	check(t, err)
	for _, n := range nodes {
		eventually(t, "a node says why it stops", func() bool { return strings.Contains(n.State().Lost, cluster.ErrForeign.Error()) })
	}
	if err := nodes[0].list.Revoke(t.Context(), record(10)); !errors.Is(err, revocation.ErrAway) {
		t.Errorf("Revoke = %v; want ErrAway", err)
	}
	deleteStream(t, js)
	for _, n := range nodes {
		n.isLevel()
	}
	wants(t, append(nodes, levelNode(t, p.config())), records(0, 11)...)
}
