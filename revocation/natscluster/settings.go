package natscluster

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// unusable says with which settings the stream would not do, nil with none.
func (e *Engine) unusable(c *jetstream.StreamConfig) error {
	for _, setting := range []struct {
		bad  bool
		text string
	}{
		{!c.AllowMsgTTL, "does not allow per-message TTLs: set allow_msg_ttl (NATS 2.11 or later)"},
		{c.Retention != jetstream.LimitsPolicy, "must have the retention policy limits"},
		{c.NoAck, "acknowledges nothing: unset no_ack"},
		{c.Sealed, "is sealed, which cannot be undone: name another"},
		{c.Mirror != nil, "is the mirror of another: name that one"},
		{c.SubjectTransform != nil, "stores under other subjects: unset subject_transform"},
		{c.AllowMsgCounter, "takes counters only: unset allow_msg_counter"},
		{!takes(c.Subjects, e.records()), "does not take what is published to " + e.records() + ": add " + e.c.Prefix + ".> to its subjects"},
		{!takes(c.Subjects, e.beats(e.node)), "does not take what is published to " + e.beats("*") + ": add " + e.c.Prefix + ".> to its subjects"},
		{c.MaxConsumers > 0 && c.MaxConsumers < 2, fmt.Sprintf("allows %d consumers: every node needs one; set max_consumers to -1", c.MaxConsumers)},
	} {
		if setting.bad {
			return fmt.Errorf("%w: stream %s %s", ErrStream, c.Name, setting.text)
		}
	}
	return nil
}

// unwise are warnings about settings with which the stream cannot keep what is
// promised, and what to set.
func (e *Engine) unwise(info *jetstream.StreamInfo) (warnings []string) {
	c := &info.Config
	limited := c.MaxMsgs > 0 || c.MaxBytes > 0 || c.MaxMsgsPerSubject > 0
	alone := c.Replicas == 1 && info.Cluster != nil && info.Cluster.Name != ""
	for _, setting := range []struct {
		bad  bool
		text string
	}{
		{c.Storage != jetstream.FileStorage, "it is kept in memory: a restart of NATS loses what no gateway has; make it anew with storage file"},
		{c.PersistMode == jetstream.AsyncPersistMode, "it acknowledges what is not on disk yet: make it anew without persist_mode async"},
		{alone, "one server of the cluster has the only copy: set num_replicas to 3"},
		{c.Replicas < e.c.Replicas && !alone, fmt.Sprintf("%d servers keep a copy, not the %d of the configuration: set num_replicas", c.Replicas, e.c.Replicas)},
		{c.MaxAge > 0, "max_age removes revocations before they end: set it to 0"},
		{limited && c.Discard != jetstream.DiscardNew, "a full stream removes the oldest revocations: set discard to new"},
		{c.SubjectDeleteMarkerTTL > 0, "subject_delete_marker_ttl has the server put in what is no revocation, in the place of what was before: set it to 0"},
		{c.MaxMsgsPerSubject > 0, "max_msgs_per_subject removes revocations, or refuses them: set it to -1"},
		{c.MaxMsgSize > 0 && c.MaxMsgSize < minMessage, fmt.Sprintf("max_msg_size may be too small for a single revocation: set it to %d or more, or to -1", minMessage)},
		{e.payload() < minMessage, fmt.Sprintf("the server's max_payload may be too small for a single revocation: set it to %d or more", minMessage)},
		{!c.DenyPurge || !c.DenyDelete, "running gateways do not notice what is removed from it: make it anew with deny_delete and deny_purge"},
		{c.MaxConsumers > 0 && info.State.Consumers*5 >= c.MaxConsumers*4, fmt.Sprintf("it has %d of the %d consumers that it allows, and each gateway that comes back needs one more for a while: set max_consumers to -1", info.State.Consumers, c.MaxConsumers)},
	} {
		if setting.bad {
			warnings = append(warnings, fmt.Sprintf("stream %s: %s", c.Name, setting.text))
		}
	}
	return warnings
}

// payload is how large a message the server takes, as it said when it was connected.
func (e *Engine) payload() int64 {
	if conn := e.conn.Load(); conn != nil {
		return conn.MaxPayload()
	}
	return minMessage // unknown
}

// minMessage is more than any one record with what is around it.
const minMessage = 8 << 10

// takes says whether one of the subjects, which may have wildcards, matches
// another.
func takes(subjects []string, subject string) bool {
	for _, s := range subjects {
		if matches(strings.Split(s, "."), strings.Split(subject, ".")) {
			return true
		}
	}
	return false
}

func matches(pattern, subject []string) bool {
	for i, part := range pattern {
		switch {
		case i >= len(subject):
			return false
		case part == ">":
			return true
		case part != "*" && part != subject[i]:
			return false
		}
	}
	return len(pattern) == len(subject)
}
