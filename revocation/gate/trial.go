package gate

import (
	"slices"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// trial is a dry run that would have refused a request, and the first token for
// which it would have.
type trial struct {
	record *revocation.Record
	token  revocation.Key
}

// maxTrials bounds how many dry runs one request counts for.
const maxTrials = 64

// try remembers a dry run until it is known whether the request passes. What is
// refused in any case is not what the dry run would have done.
func (s *search) try(dry *revocation.Record, token *revocation.Key) {
	known := func(t trial) bool { return t.record.Key == dry.Key }
	if len(s.tried) < maxTrials && !slices.ContainsFunc(s.tried, known) {
		s.tried = append(s.tried, trial{dry, *token})
	}
}

// count lets the dry runs know of a request that has passed.
func (s *search) count() {
	for i := range s.tried {
		t := &s.tried[i]
		s.list.Try(t.record, &t.token)
		s.decision.Counted = append(s.decision.Counted, t.record)
	}
}
