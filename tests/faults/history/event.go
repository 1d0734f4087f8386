// Package history keeps what was done to gateways that share a denylist and what
// they answered, and judges it.
package history

import "time"

// Kind is what an event is.
type Kind string

// The kinds of events. Times are since the history began, by the one monotonic
// clock of whoever did and saw it all: what ended before something else began was
// before it.
const (
	// Setup is how the gateways are set up: MaxStaleness, Allow. The first event.
	Setup Kind = "setup"
	// Revoke is an attempt to revoke Token at Gateway, answered with Status.
	Revoke Kind = "revoke"
	// Ask is request number Request with Token through Gateway, answered with Status.
	// If it is Final, the answer is to be the right one: see Settled.
	Ask Kind = "ask"
	// Reached is that request number Request with Token reached the API behind
	// Gateway.
	Reached Kind = "reached"
	// Report is what Gateway said of itself: Ready and Stale, and then Level, Word and
	// Staleness. Status 0 is that it did not.
	Report Kind = "report"
	// Start is that a process of Gateway was started and serves at the end; Empty if
	// it has nothing stored.
	Start Kind = "start"
	// Stop is that the process of Gateway was ended.
	Stop Kind = "stop"
	// Fault is that from Begin to End something may have gone wrong anywhere: from
	// before it was done until all gateways were found to be well again.
	Fault Kind = "fault"
	// Cut is that from Begin to End nothing could come by from Gateway through the
	// engine and back.
	Cut Kind = "cut"
	// Loss is that the engine lost what it had acknowledged from Begin to Turn, or all
	// of it; at the End all gateways have given back what they know.
	Loss Kind = "loss"
	// Stall is that this machine, or its disk, had no time for whoever keeps the history.
	Stall Kind = "stall"
	// Settled is that from Begin to End all Gateways were asked with all tokens: what
	// was acknowledged is refused by all of them, and what nobody revoked passes.
	Settled Kind = "settled"
)

// Event is one line of a history. What it has beside its kind and times depends on
// the kind.
type Event struct {
	Kind  Kind          `json:"kind"`
	Begin time.Duration `json:"begin"`
	End   time.Duration `json:"end"`
	Turn  time.Duration `json:"turn,omitempty"`

	Gateway  string   `json:"gateway,omitempty"`
	Gateways []string `json:"gateways,omitempty"`
	Token    string   `json:"token,omitempty"` // a name, not a credential
	Request  int64    `json:"request,omitempty"`
	Status   int      `json:"status,omitempty"` // 0 if there was no answer
	Final    bool     `json:"final,omitempty"`
	Empty    bool     `json:"empty,omitempty"`

	Ready     bool          `json:"ready,omitempty"`
	Stale     bool          `json:"stale,omitempty"` // is given as a reason
	Level     bool          `json:"level,omitempty"`
	Word      bool          `json:"word,omitempty"` // a staleness is given
	Staleness time.Duration `json:"staleness,omitempty"`

	MaxStaleness time.Duration `json:"max_staleness,omitempty"`
	Allow        bool          `json:"allow,omitempty"` // what is stale passes

	What string `json:"what,omitempty"` // in words, for readers
}

// overlaps says whether two events may have been at the same time.
func (e *Event) overlaps(other *Event) bool { return e.Begin <= other.End && other.Begin <= e.End }
