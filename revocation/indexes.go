package revocation

import (
	"time"
)

// indexes is an index for each kind, so that rules, of which there are few, are
// looked for where it is small, and each kind is counted. Kinds that this version
// does not know share the one of kind 0.
type indexes [kindCount]*index

func newIndexes(now time.Time) (x indexes) {
	for i := range x {
		x[i] = newIndex(now)
	}
	return x
}

func (x *indexes) of(kind Kind) *index {
	if kind >= kindCount {
		kind = 0
	}
	return x[kind]
}

func (x *indexes) sweep(t time.Time) {
	for _, of := range x {
		of.sweep(t)
	}
}
