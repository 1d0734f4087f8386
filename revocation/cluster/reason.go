package cluster

import "slices"

// Why a cursor was of no use, as engines say in [Receiver.Snapshot]. They stand in
// logs and metrics, and do not change.
const (
	ReasonNoCursor   = "no_cursor"  // the node has none, as it is new or its store forgets, or is to compare everything
	ReasonUnreadable = "unreadable" // this version does not understand it
	ReasonOther      = "other_feed" // it is one of another feed, such as one that was deleted and made anew
	ReasonOlder      = "older"      // the feed was put back to what it was before the cursor
	ReasonTrimmed    = "trimmed"    // the feed no longer has what the cursor points at
	ReasonDiffers    = "differs"    // the feed has something else there
	reasonUnknown    = "unknown"    // what an engine says that is none of these
)

// Reasons are all that [State] counts.
func Reasons() []string {
	return []string{
		ReasonNoCursor, ReasonUnreadable, ReasonOther, ReasonOlder, ReasonTrimmed, ReasonDiffers, reasonUnknown,
	}
}

// reasonOf is one of them.
func reasonOf(why string) string {
	if slices.Contains(Reasons(), why) {
		return why
	}
	return reasonUnknown
}
