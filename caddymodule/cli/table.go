package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// idDigits is how much of a digest the tables show: enough to find a record again,
// and all of a token that may stand in a log.
const idDigits = 12

// shortID is an ID as the tables show it, which the commands take too.
func shortID(id string) string {
	kind, digest, _ := strings.Cut(id, ":")
	return kind + ":" + digest[:min(len(digest), idDigits)]
}

// table prints records for people as they come, so that there may be millions:
// what differs much in width stands last.
type table struct {
	w       io.Writer
	started bool
}

const tableRow = "%-20s  %-8s  %-20s  %-20s  %-16s  %s\n"

func (t *table) add(r *operator.Record) error {
	if !t.started {
		t.started = true
		if _, err := fmt.Fprintf(t.w, tableRow, "ID", "EFFECT", "SINCE", "UNTIL", "BY", "ABOUT"); err != nil {
			return err
		}
	}
	by := plain(r.By)
	if r.Operator {
		by += " (operator)"
	}
	_, err := fmt.Fprintf(t.w, tableRow, shortID(r.ID), r.Effect, instant(r.RevokedAt), instant(r.Expires), by, about(r))
	return err
}

// about is what a rule is about, and why.
func about(r *operator.Record) string {
	var parts []string
	for _, text := range [...]string{r.Issuer, r.Value} {
		if text != "" {
			parts = append(parts, plain(text))
		}
	}
	if !r.IssuedBefore.IsZero() {
		parts = append(parts, "issued until "+instant(r.IssuedBefore))
	}
	if r.Reason != "" {
		parts = append(parts, "("+plain(r.Reason)+")")
	}
	if r.Trial != nil {
		parts = append(parts, fmt.Sprintf("[would have refused %d requests of %d tokens]", r.Trial.Requests, r.Trial.Tokens))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, " ")
}

// instant is a time for people, to the second.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// plain is a text of somebody else as it can be shown on a terminal, which control
// characters could tell to do something.
func plain(text string) string {
	strange := func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }
	if strings.ContainsFunc(text, strange) {
		return strconv.Quote(text)
	}
	return text
}
