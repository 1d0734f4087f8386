package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import [<file>]",
		Short: "Imports records, tokens and rules from lines of JSON",
		Long: `
Imports lines of JSON from a file or standard input. A line is a record as
"export" writes it, which merges with what is known; or a token to be revoked,
{"token":"…"}; or a rule, {"kind":"subject","issuer":"…","value":"…"}. Tokens and
rules can have expires, by and reason, and rules issued_before.

Each part is durable before the next is sent. While Caddy restarts or reloads, it
is sent again, which is harmless, as is importing a file twice. Should it end
early, it says how many lines are done and with which --skip it goes on.

A line that cannot be read ends it, with the number of that line, or with
--keep-going is left out.`,
		Example: `  $ caddy token-revocation import denylist.jsonl
  $ caddy token-revocation import --skip 1200000 denylist.jsonl
  $ zcat denylist.jsonl.gz | caddy token-revocation import`,
		Args: atMostOne,
		RunE: run((*call).importLines),
	}
	flags := cmd.Flags()
	flags.Uint64("skip", 0, "How many lines to leave out at the beginning: those that are done")
	flags.Bool("keep-going", false, "Leave out the lines that cannot be read; it ends with 1 then")
	flags.String("by", "", "Who imports tokens and rules that do not say (default: the name of the user who runs this)")
	flags.Bool("quiet", false, "Do not show how far it is")
	patienceFlag(flags)
	return cmd
}

// imported is the answer to a chunk, and the sum of those.
type imported struct {
	Lines  int `json:"lines"`
	Stored int `json:"stored"`
	Ended  int `json:"ended"`
	Bad    []struct {
		Line  int    `json:"line"`
		Error string `json:"error"`
	} `json:"bad,omitempty"`
}

// importing is an import that runs.
type importing struct {
	c         *call
	path      string
	keepGoing bool
	skipped   uint64
	patience  *patience
	progress  *progress
	sum       imported // without Bad
	bad       int
}

func (c *call) importLines() (err error) {
	if _, err := c.given("by"); err != nil {
		return err
	}
	in := c.in
	if len(c.args) == 1 && c.args[0] != "-" {
		file, err := open(c.args[0])
		if err != nil {
			return usage("opening the file to import: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	im := &importing{c: c}
	if im.skipped, err = c.flags.GetUint64("skip"); err != nil {
		return err
	}
	if im.keepGoing, err = c.flags.GetBool("keep-going"); err != nil {
		return err
	}
	if im.patience, err = c.patience(); err != nil {
		return err
	}
	query := url.Values{"by": {c.by()}}
	if im.keepGoing {
		query.Set("keep_going", "true")
	}
	im.path = "import?" + query.Encode()
	im.progress = c.progress("importing", size(in))
	stop := c.interruptible()
	defer stop()
	err = im.run(readChunks(c.ctx, in, im.skipped))
	im.progress.clear()
	return im.end(err)
}

func (im *importing) run(chunks <-chan chunk) error {
	for {
		var next chunk
		select {
		case next = <-chunks:
		case <-im.c.ctx.Done():
			return errInterrupted
		}
		if next.lines > 0 {
			if err := im.send(next.body, next.lines); err != nil {
				return err
			}
		}
		im.progress.add(next.lines, next.bytes)
		switch {
		case next.err == nil:
		case next.err == io.EOF:
			return nil
		case errors.Is(next.err, errLong) && im.keepGoing:
			im.leaveOut(next.err.Error())
			im.sum.Lines++
		default:
			return next.err
		}
	}
}

// send sends a chunk until it is done.
func (im *importing) send(chunk []byte, lines int) error {
	for {
		var answer imported
		_, err := im.c.api.ask(im.c.ctx, http.MethodPost, im.path, jsonLines, chunk, &answer)
		if err == nil && answer.Lines != lines {
			err = fmt.Errorf("%w: of %d lines that were sent, it speaks of %d", errNonsense, lines, answer.Lines)
		}
		if err == nil {
			im.patience.goesOn()
			im.take(&answer)
			return nil
		}
		if bad := im.badLine(err); bad != nil {
			return bad
		}
		if err := im.patience.again(im.c.ctx, err); err != nil {
			return im.c.api.explained(im.c.ctx, err)
		}
		im.progress.pause(err)
	}
}

func (im *importing) take(answer *imported) {
	for _, bad := range answer.Bad {
		im.leaveOut(fmt.Sprintf("line %d: %s", im.done()+uint64(bad.Line), bad.Error))
	}
	im.sum.Lines += answer.Lines
	im.sum.Stored += answer.Stored
	im.sum.Ended += answer.Ended
}

// badLine is what is wrong with a line of a chunk, of which those before are done;
// nil if it is something else.
func (im *importing) badLine(err error) error {
	var refused *refusal
	if !errors.As(err, &refused) || refused.status != http.StatusBadRequest {
		return nil
	}
	var answer imported
	if json.Unmarshal(refused.body, &answer) != nil || len(answer.Bad) != 1 {
		return nil
	}
	bad := answer.Bad[0]
	err = fmt.Errorf("line %d: %s", im.done()+uint64(bad.Line), bad.Error)
	answer.Bad = nil
	im.take(&answer)
	return err
}

func (im *importing) leaveOut(what string) {
	im.bad++
	im.progress.clear()
	im.c.note("left out: %s", what)
}

// done is how many lines of the input are done, those that were skipped included.
func (im *importing) done() uint64 { return im.skipped + uint64(im.sum.Lines) }

// end says what was done.
func (im *importing) end(err error) error {
	if known, is := errors.AsType[coded](err); is && known.code == exitUsage {
		return err
	}
	if im.c.json {
		if err := json.NewEncoder(im.c.out).Encode(im.sum); err != nil {
			return err
		}
	} else {
		_, _ = fmt.Fprintf(im.c.out, "lines: %s, stored: %s, had ended already: %s\n",
			humanize.Comma(int64(im.sum.Lines)), humanize.Comma(int64(im.sum.Stored)), humanize.Comma(int64(im.sum.Ended)))
	}
	switch {
	case err != nil && im.done() > 0:
		im.c.note("lines done: %d; go on with --skip %d", im.done(), im.done())
	case err == nil && im.bad > 0:
		return fmt.Errorf("lines that were left out, as they cannot be read: %d", im.bad)
	}
	return err
}
