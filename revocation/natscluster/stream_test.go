package natscluster

import (
	"errors"
	"maps"
	"slices"
	"strings"
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
	if err := operator(t, p.server.ClientURL()).DeleteStream(t.Context(), DefaultStream); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nodes notice and repair", func() bool {
		return nodes[0].State().Repaired+nodes[1].State().Repaired >= 300
	})
	wants(t, []*node{levelNode(t, p.config())}, records(0, 300)...)
	for _, n := range nodes {
		n.isLevel()
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
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	other := levelNode(t, p.config())
	wants(t, []*node{other}, records(0, 500)...)
	if w := strings.Join(other.State().Warnings, "\n"); !strings.Contains(w, "metadata") || !strings.Contains(w, "deny_purge") {
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
		if s := n.State(); s.Syncs < 2 || len(s.Snapshots) != 1 {
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
			ack, err := js.Publish(t.Context(), DefaultPrefix+".records", garbage)
			if err != nil {
				t.Fatal(err)
			}
			put := time.Now()
			eventually(t, "the node says that it is lost", func() bool {
				s := n.State()
				return s.Lost != "" && s.Staleness >= time.Since(put)
			})
			for range 20 { // through several attempts
				time.Sleep(20 * time.Millisecond)
				if s := n.State(); s.Staleness < time.Since(put)-10*time.Millisecond || n.Fresh(time.Since(put)-10*time.Millisecond) {
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
			if err := js.DeleteStream(t.Context(), DefaultStream); err != nil {
				t.Fatalf("message %d: %v", ack.Sequence, err)
			}
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
	list := records(0, 1000)
	for i := range list {
		list[i].Reason = strings.Repeat("x", 1000)
	}
	nodes[0].revoke(list...)
	wants(t, nodes, list...)
}

// A full stream takes nothing more, says so, and forgets nothing.
func TestStreamFull(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	c := p.config()
	c.MaxBytes = 256 << 10
	n := levelNode(t, c)
	var acknowledged []revocation.Record
	full := false
	for i := 0; i < 20_000 && !full; i += 100 {
		list := records(i, i+100)
		switch err := n.list.Revoke(t.Context(), list...); {
		case err == nil:
			acknowledged = append(acknowledged, list...)
		case errors.Is(err, revocation.ErrAway):
			full = true
			if !n.knows(list...) {
				t.Error("what did not fit passes where it was revoked")
			}
		default:
			t.Fatalf("Revoke = %v; want ErrAway", err)
		}
	}
	if !full || len(acknowledged) == 0 {
		t.Fatalf("full: %t, after %d records", full, len(acknowledged))
	}
	filled := time.Now()
	eventually(t, "word ends", func() bool {
		return n.State().Staleness > 200*time.Millisecond && time.Since(filled) > 200*time.Millisecond
	})
	// With room again, all goes on, and what did not fit is sent again.
	js := operator(t, p.server.ClientURL())
	stream, err := js.Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxBytes = -1
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	n.isLevel()
	wants(t, []*node{levelNode(t, c)}, records(0, len(acknowledged)+100)...)
}

// What the stream must not be is an error that names the remedy, and what it had
// better not be a warning.
func TestStreamSettings(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	js := operator(t, p.server.ClientURL())
	for name, c := range map[string]struct {
		set    jetstream.StreamConfig
		lost   string
		warned []string
	}{
		"without TTL":       {set: jetstream.StreamConfig{}, lost: "allow_msg_ttl"},
		"a work queue":      {set: jetstream.StreamConfig{AllowMsgTTL: true, Retention: jetstream.WorkQueuePolicy}, lost: "retention policy limits"},
		"one consumer":      {set: jetstream.StreamConfig{AllowMsgTTL: true, MaxConsumers: 1}, lost: "every node needs one"},
		"in memory":         {set: jetstream.StreamConfig{AllowMsgTTL: true, Storage: jetstream.MemoryStorage}, warned: []string{"storage"}},
		"ends early":        {set: jetstream.StreamConfig{AllowMsgTTL: true, MaxAge: time.Hour}, warned: []string{"max_age"}},
		"forgets when full": {set: jetstream.StreamConfig{AllowMsgTTL: true, MaxBytes: 1 << 20}, warned: []string{"discard"}},
		"one per subject":   {set: jetstream.StreamConfig{AllowMsgTTL: true, MaxMsgsPerSubject: 1}, warned: []string{"max_msgs_per_subject", "discard"}},
		"can be purged":     {set: jetstream.StreamConfig{AllowMsgTTL: true}, warned: []string{"deny_purge", "metadata"}},
	} {
		prefix := strings.ReplaceAll(name, " ", "_")
		c.set.Name, c.set.Subjects = prefix, []string{prefix + ".>"}
		if _, err := js.CreateStream(t.Context(), c.set); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		config := p.config()
		config.Stream, config.Prefix = prefix, prefix
		n := newNode(t, config)
		eventually(t, name+" is reported", func() bool {
			s := n.State()
			if c.lost != "" {
				return !s.Word && strings.Contains(s.Lost, c.lost)
			}
			warnings := strings.Join(s.Warnings, "\n")
			return s.Level && !slices.ContainsFunc(c.warned, func(w string) bool { return !strings.Contains(warnings, w) })
		})
	}
	n := levelNode(t, p.config())
	if w := n.State().Warnings; len(w) > 0 {
		t.Errorf("of a stream of its own making a node says %q", w)
	}
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
		if s := n.State(); len(s.Snapshots) != 1 || !maps.Equal(s.Snapshots, map[string]int{cluster.ReasonNoCursor: s.Syncs}) && s.Syncs != 1 {
			t.Errorf("the node is %+v", s)
		}
	}
	nodes[3].revoke(record(1))
	wants(t, nodes, record(1))
}
