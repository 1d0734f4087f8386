package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// File is a history that is being written, one event a line. Its methods are safe
// for concurrent use.
type File struct {
	began time.Time

	mu   sync.Mutex
	file *os.File
	to   *bufio.Writer
	err  error
}

// Create begins a history in a file that is not there yet.
func Create(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &File{began: time.Now(), file: file, to: bufio.NewWriter(file)}, nil
}

// Now is the time of the history.
func (f *File) Now() time.Duration { return time.Since(f.began) }

// Add appends an event. That it cannot be written is said later.
func (f *File) Add(e Event) {
	line, err := json.Marshal(e)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		_, err = f.to.Write(append(line, '\n'))
	}
	f.err = errors.Join(f.err, err)
}

// Close ends the history.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.err, f.to.Flush(), f.file.Close())
}

// Events returns all that was added so far.
func (f *File) Events() ([]Event, error) {
	f.mu.Lock()
	err := errors.Join(f.err, f.to.Flush())
	info, err2 := f.file.Stat()
	f.mu.Unlock()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	file, err := os.Open(f.file.Name())
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return parse(io.LimitReader(file, info.Size()))
}

// Read returns the events of a file.
func Read(path string) ([]Event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return parse(file)
}

func parse(from io.Reader) (events []Event, err error) {
	decoder := json.NewDecoder(bufio.NewReader(from))
	decoder.DisallowUnknownFields()
	for {
		var e Event
		switch err := decoder.Decode(&e); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("event %d: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
}
