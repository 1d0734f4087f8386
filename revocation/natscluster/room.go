package natscluster

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// A stream that refuses what does not fit would refuse heartbeats as well, and
// all nodes would be stale. So from fullFrom on, as a share of what it may hold,
// records are refused here, and the rest is for heartbeats, which make way for each
// other. From warnFrom on there is a warning.
const warnFrom, fullFrom = 0.8, 0.9

// ErrFull says that the stream has no room for more records.
var ErrFull = errors.New("the stream is full")

// filled is the share of what the stream may hold that it holds; 0 if it has no
// limit, or if it removes what it has.
func filled(info *jetstream.StreamInfo) (share float64, limit string) {
	if info.Config.Discard != jetstream.DiscardNew {
		return 0, ""
	}
	if limit := info.Config.MaxBytes; limit > 0 {
		share = float64(info.State.Bytes) / float64(limit)
	}
	if limit := info.Config.MaxMsgs; limit > 0 && float64(info.State.Msgs)/float64(limit) > share {
		return float64(info.State.Msgs) / float64(limit), "max_msgs"
	}
	return share, "max_bytes"
}

// filling is a warning about a stream that is nearly full, if it is.
func filling(info *jetstream.StreamInfo) (warning string) {
	switch share, limit := filled(info); {
	case share >= fullFrom:
		return fmt.Sprintf("stream %s: it is full to %.0f %%, and revocations are refused: set %s to more", info.Config.Name, 100*share, limit)
	case share >= warnFrom:
		return fmt.Sprintf("stream %s: it is full to %.0f %%, and from %.0f %% on revocations are refused: set %s to more", info.Config.Name, 100*share, 100*fullFrom, limit)
	}
	return ""
}

// checkRoom is ErrFull or nil.
func (e *Engine) checkRoom() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.full {
		return fmt.Errorf("%w: %s", ErrFull, e.c.Stream)
	}
	return nil
}

// noRoom takes note of an answer that says that the stream is full, until it is
// looked at again.
func (e *Engine) noRoom(err error) error {
	var said *jetstream.APIError
	if !errors.As(err, &said) || !strings.Contains(said.Description, "maximum bytes exceeded") && !strings.Contains(said.Description, "maximum messages exceeded") {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full = true
	return fmt.Errorf("%w: %w", ErrFull, err)
}
