package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// jsonLines is the content type of an import and an export.
const jsonLines = "application/x-ndjson"

// lineReader reads lines of bounded length, and counts them.
type lineReader struct {
	in *bufio.Reader // whose size is the longest line that is read
	n  int           // lines that have been read
}

var errLong = errors.New("the line is too long")

// next is the next line with its end, valid until the call after, or io.EOF. One
// that is too long is read to its end, and an error that wraps errLong.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if err == io.EOF && len(line) == 0 {
		return nil, io.EOF
	}
	l.n++
	if err == nil || err == io.EOF {
		return line, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("reading line %d: %w", l.n, nameless(err))
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.in.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading line %d: %w", l.n, nameless(err))
	}
	return nil, fmt.Errorf("line %d: %w", l.n, errLong)
}

// token is the next line that is not blank, and its number.
func (l *lineReader) token() (token string, number int, err error) {
	for {
		line, err := l.next()
		if err != nil {
			return "", 0, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			return "", 0, fmt.Errorf("line %d: it is not text", l.n)
		}
		return string(line), l.n, nil
	}
}

// A chunk is what one request carries. It is done before the next is sent, so that
// two of them are all that an import holds in memory.
const (
	chunkLines = 20_000
	chunkBytes = 4 << 20
	maxLine    = 64 << 10
)

// chunk is a part of what is imported.
type chunk struct {
	body  []byte
	lines int
	bytes int   // that were read for it
	err   error // what ended it early
}

// readChunks reads the input beside what is sent, until something other than a
// line that is too long ends it, and leaves out so many lines at the beginning.
// Whoever waits for input can so be interrupted.
func readChunks(ctx context.Context, in io.Reader, skip uint64) <-chan chunk {
	chunks := make(chan chunk)
	go func() {
		lines := lineReader{in: bufio.NewReaderSize(in, maxLine)}
		next := lines.skip(skip)
		for next.err == nil || errors.Is(next.err, errLong) {
			select {
			case chunks <- next:
			case <-ctx.Done():
				return
			}
			next = lines.chunk()
		}
		select {
		case chunks <- next:
		case <-ctx.Done():
		}
	}()
	return chunks
}

// skip leaves out lines; the chunk says how many bytes that were.
func (l *lineReader) skip(n uint64) (c chunk) {
	for range n {
		line, err := l.next()
		switch {
		case err == io.EOF:
			c.err = usage("there are only %d lines", l.n)
			return c
		case err != nil && !errors.Is(err, errLong):
			c.err = err
			return c
		}
		c.bytes += len(line)
	}
	return c
}

func (l *lineReader) chunk() chunk {
	var b bytes.Buffer
	c := chunk{}
	for c.lines < chunkLines && b.Len()+maxLine <= chunkBytes && c.err == nil {
		var line []byte
		if line, c.err = l.next(); c.err == nil {
			b.Write(line)
			c.lines++
		}
	}
	c.body, c.bytes = b.Bytes(), b.Len()
	return c
}
