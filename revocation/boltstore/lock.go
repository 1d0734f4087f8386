package boltstore

import "context"

// lock is a mutex for which nobody has to wait for longer than a context lasts: a disk
// can take its time.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// LockBefore is Lock, or the cause of the context's end.
func (l lock) LockBefore(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
