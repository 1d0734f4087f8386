package token

import "time"

// End is when the last of those who accept a token stops doing so: those who read
// its claims, each in its way, and those who ask somebody who has stated its end;
// zero if nobody has. Where some of them might see no end, it is no earlier than
// atLeast.
func (c Claims) End(stated, atLeast time.Time) time.Time {
	read, everyReader := c.Expires()
	end := later(read, stated)
	if everyReader || c.None() && !stated.IsZero() {
		return end
	}
	return later(end, atLeast)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
