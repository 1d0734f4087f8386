package keys

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// filePause is how often a file is looked at, at most.
const filePause = time.Second

// File is the set of keys in a file. It is read again when it has changed; if it
// cannot be, the last keys stay.
type File struct {
	path string
	now  func() time.Time

	mu       sync.Mutex
	document *Static
	read     os.FileInfo // of the document; nil if the file has to be read again
	again    time.Time   // not looked at before
}

// NewFile reads the JWK Set in a file.
func NewFile(path string) (*File, error) {
	f := &File{path: path, now: time.Now}
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

// Find implements [Set].
func (f *File) Find(_ context.Context, kid, alg string) ([]jose.JSONWebKey, error) {
	return f.current().find(kid, alg), nil
}

// Holds implements [Certificates].
func (f *File) Holds(_ context.Context, certificate *x509.Certificate) (bool, error) {
	return f.current().holds(certificate), nil
}

func (f *File) current() *Static {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); !now.Before(f.again) {
		f.again = now.Add(filePause)
		if err := f.load(); err != nil {
			f.read = nil // it may be half written
		}
	}
	return f.document
}

// load reads the file if it is not the one that was read last.
func (f *File) load() error {
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return fmt.Errorf("reading a JWK Set: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("reading a JWK Set: %s is not a file", f.path)
	case f.read != nil && os.SameFile(f.read, info) && f.read.Size() == info.Size() && f.read.ModTime().Equal(info.ModTime()):
		return nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("reading a JWK Set: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	if err != nil {
		return fmt.Errorf("reading a JWK Set: %w", err)
	}
	document, err := Parse(b)
	if err != nil {
		return fmt.Errorf("the JWK Set in %s: %w", f.path, err)
	}
	f.document, f.read = document, info
	return nil
}
