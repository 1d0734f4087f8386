package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

// silence is how long an export waits for the next bytes.
const silence = time.Minute

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [--output <file>] [--continue] [--kind <kinds>]",
		Short: "Exports the denylist as lines of JSON",
		Long: `
Exports the live records, one a line, in the order of their ids, to a file or to
standard output, for "import". It ends with 0 only if nothing is missing: where
the connection breaks, it goes on from where it was, for a bounded time.

With --continue, it goes on with a file that is not complete: it cuts off a line
that was half written, and adds what comes after the last whole one. A file that
is complete already just gets what has come after its last line since.`,
		Example: `  $ caddy token-revocation export --output denylist.jsonl
  $ caddy token-revocation export --output denylist.jsonl --continue
  $ caddy token-revocation export --kind subject,client,key,issuer`,
		Args: noArguments,
		RunE: run((*call).export),
	}
	flags := cmd.Flags()
	flags.StringP("output", "o", "", "File to write, which must not exist (default: standard output)")
	flags.Bool("continue", false, "Go on with the file: it was not complete")
	flags.String("kind", "", "Kinds to export, with commas (default: all)")
	flags.Bool("quiet", false, "Do not show how far it is")
	patienceFlag(flags)
	return cmd
}

// exporting is an export that runs.
type exporting struct {
	c        *call
	query    url.Values
	out      *bufio.Writer
	last     []byte // the last whole line
	records  int
	patience *patience
	progress *progress
}

func (c *call) export() (err error) {
	ex := &exporting{c: c, query: url.Values{}}
	if _, err := c.given("kind", "output"); err != nil {
		return err
	}
	if kinds := c.text("kind"); kinds != "" {
		ex.query.Set("kind", kinds)
	}
	if ex.patience, err = c.patience(); err != nil {
		return err
	}
	out := os.Stdout
	if c.text("output") == "" && c.flags.Changed("continue") {
		return usage("--continue needs --output")
	}
	if c.text("output") != "" {
		if out, err = ex.open(c.text("output")); err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
	}
	ex.out = bufio.NewWriterSize(out, 1<<20)
	ex.progress = c.progress("exporting", -1)
	stop := c.interruptible()
	defer stop()
	err = ex.run()
	if flushErr := ex.out.Flush(); flushErr != nil {
		err = flushErr
	}
	if out != os.Stdout && err == nil {
		err = out.Sync()
	}
	ex.progress.clear()
	return ex.end(err)
}

// open opens the file to which an export goes: a new one, or one to go on with.
func (ex *exporting) open(path string) (*os.File, error) {
	goOn, err := ex.c.flags.GetBool("continue")
	if err != nil {
		return nil, err
	}
	flags := os.O_RDWR | os.O_CREATE
	if !goOn {
		flags |= os.O_EXCL
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, usage("the file to write exists already; --continue would go on with it")
	}
	if err == nil && goOn {
		ex.last, err = ex.cutOff(file)
	}
	if err != nil {
		return nil, usage("opening the file to write: %w", nameless(err))
	}
	return file, nil
}

// cutOff cuts a half-written line off a file, goes to its end, and returns the
// last whole line, or nil if there is none.
func (ex *exporting) cutOff(file *os.File) ([]byte, error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	// The last whole line and what follows it are at most two lines long.
	tail := make([]byte, min(end, 2*maxLine))
	if _, err := file.ReadAt(tail, end-int64(len(tail))); err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	if whole == 0 && end > int64(len(tail)) {
		return nil, errors.New("it is not an export")
	}
	end -= int64(len(tail) - whole)
	if whole > 0 {
		last := tail[bytes.LastIndexByte(tail[:whole-1], '\n')+1 : whole]
		id, err := idOf(last)
		if err != nil {
			return nil, err
		}
		kind, _, _ := strings.Cut(id, ":")
		if kinds := ex.c.text("kind"); kinds != "" && !slices.Contains(strings.Split(kinds, ","), kind) {
			return nil, errors.New("it was exported with another --kind")
		}
		tail = last
	} else {
		tail = nil
	}
	if err := file.Truncate(end); err != nil {
		return nil, err
	}
	_, err = file.Seek(end, io.SeekStart)
	return tail, err
}

func idOf(line []byte) (string, error) {
	var r operator.Record
	if err := json.Unmarshal(line, &r); err != nil || r.ID == "" {
		return "", errors.New("its last line is not one of an export")
	}
	return r.ID, nil
}

// run follows the stream, and begins it anew after the last whole line when it
// breaks.
func (ex *exporting) run() error {
	for {
		if ex.last != nil {
			id, err := idOf(ex.last)
			if err != nil {
				return err
			}
			ex.query.Set("after", id)
		}
		before := ex.records
		err := ex.stream()
		if err == nil {
			return nil
		}
		if ex.records > before {
			ex.patience.goesOn()
		}
		if _, own := errors.AsType[writeError](err); own {
			return err
		}
		if err := ex.patience.again(ex.c.ctx, err); err != nil {
			return ex.c.api.explained(ex.c.ctx, err)
		}
		ex.progress.pause(err)
	}
}

// writeError is one of where the export goes, which no other try would mend.
type writeError struct{ error }

func (ex *exporting) stream() error {
	ctx, cancel := context.WithCancelCause(ex.c.ctx)
	defer cancel(nil)
	timer := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing came for %s", silence)) })
	defer timer.Stop()
	answer, err := ex.c.api.send(ctx, http.MethodGet, "export?"+ex.query.Encode(), "", nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.Header.Get("Content-Type") != jsonLines {
		return errNonsense
	}
	in := bufio.NewReaderSize(answer.Body, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("the stream broke: %w", err)
		}
		timer.Reset(silence)
		if _, err := ex.out.Write(line); err != nil {
			return writeError{err}
		}
		ex.last = append(ex.last[:0], line...)
		ex.records++
		ex.progress.add(1, len(line))
	}
}

// end says what was done. Beside records on standard output it is said to people
// only.
func (ex *exporting) end(err error) error {
	toFile := ex.c.text("output") != ""
	switch {
	case err != nil && ex.records == 0:
	case toFile && ex.c.json:
		if err := json.NewEncoder(ex.c.out).Encode(map[string]int{"lines": ex.records}); err != nil {
			return err
		}
	case toFile:
		_, _ = fmt.Fprintf(ex.c.out, "records: %s\n", humanize.Comma(int64(ex.records)))
	}
	switch {
	case err == nil || !toFile:
	case ex.records == 0 && ex.last == nil: // an empty file helps nobody
		_ = os.Remove(ex.c.text("output"))
	default:
		ex.c.note("the file is not complete; go on with --continue")
	}
	return err
}
