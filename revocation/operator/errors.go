// Package operator is what operators ask of a denylist: to revoke a token or by a
// rule, to take that back, to list what is there, and to explain why a token is
// refused. No error of it repeats what it was asked about, which may be a token.
package operator

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid says that what was asked for makes no sense; the error names the
	// part that does not.
	ErrInvalid = errors.New("invalid")

	// ErrEnded says that something is to end at a time that has passed.
	ErrEnded = errors.New("has passed already")

	// ErrAmbiguous says that several records have an id that was cut short.
	ErrAmbiguous = errors.New("several records have an id that begins so")

	// ErrRefuses says that a dry run would be of no use, as a record refuses
	// already what it is about.
	ErrRefuses = errors.New("it is refused already, so that there is nothing to try")
)

func invalid(field, wrong string) error { return fmt.Errorf("%w: %s %s", ErrInvalid, field, wrong) }
