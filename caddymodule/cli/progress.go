package cli

import (
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far an import or an export is: a bar on a terminal, else a
// line now and then.
type progress struct {
	c    *call
	verb string
	bar  *progressbar.ProgressBar // nil if it is not a terminal
	mute bool
	said time.Time
	n    int64 // lines

	bytes int // that the bar does not show yet
}

const (
	sayEvery  = 5 * time.Second
	showBytes = 64 << 10
)

// progress begins to show. The total is in bytes, or -1 if it is not known.
func (c *call) progress(verb string, total int64) *progress {
	mute, _ := c.flags.GetBool("quiet")
	p := &progress{c: c, verb: verb, mute: mute, said: time.Now()}
	file, is := c.errs.(*os.File)
	if !mute && !c.json && is && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(c.errs),
			progressbar.OptionSetDescription(verb),
			progressbar.OptionShowBytes(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionFullWidth(),
			// Nobody but who adds to it may draw the bar: the library's own goroutine
			// for that looks at it without a lock.
			progressbar.OptionSetSpinnerChangeInterval(0),
		)
	}
	return p
}

// add says that so many lines of so many bytes are done.
func (p *progress) add(lines, bytes int) {
	p.n += int64(lines)
	if p.bytes += bytes; p.bytes < showBytes {
		return
	}
	if p.bar != nil {
		p.bar.Describe(p.verb + " " + humanize.Comma(p.n))
		_ = p.bar.Add(p.bytes)
	}
	p.bytes = 0
	if p.bar == nil && !p.mute && time.Since(p.said) >= sayEvery {
		p.said = time.Now()
		p.c.note("%s: %s lines", p.verb, humanize.Comma(p.n))
	}
}

// pause says why nothing goes on.
func (p *progress) pause(err error) {
	if p.mute {
		return
	}
	p.clear()
	p.c.note("trying again: %v", err)
}

// clear takes the bar away, so that something can be said.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// size is the length of a file, or -1 of what has none.
func size(in io.Reader) int64 {
	file, is := in.(*os.File)
	if !is {
		return -1
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}
