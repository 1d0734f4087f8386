package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// readiness says whether a node should be sent requests.
type readiness struct {
	// Ready is whether the requests of a site can be checked here.
	Ready bool `json:"ready"`
	// Reasons are why not, in words that do not change; none if it is ready.
	Reasons []string `json:"reasons"`
	// Degraded is what does not work on a node that checks all the same.
	Degraded []string `json:"degraded"`
	// Store is the store of the denylist. It is for operators only.
	Store storeHealth `json:"-"`
}

// Why a node is not ready.
const (
	reasonLoading      = "loading"           // the denylist is not loaded yet
	reasonNotOpened    = "store_not_opened"  // and will not be
	reasonUnreachable  = "store_unreachable" // the store cannot be read, or not in time
	reasonClosed       = "closed"            // the denylist, as another configuration runs or Caddy ends
	reasonShuttingDown = "shutting_down"
)

// What may be wrong with one that is.
const (
	degradedWrites    = "writes_failing" // revocations are answered 503; what is revoked is refused
	degradedReloading = "reloading"      // another configuration takes over; revocations are answered 503
)

// storeHealth is what is known of a store.
type storeHealth struct {
	// Resource is what the store locks, such as the path of its file.
	Resource string `json:"resource"`
	// Reachable is whether it could be read within the last second.
	Reachable bool `json:"reachable"`
	// LastWrite is when it was written to since this process opened it.
	LastWrite *time.Time `json:"last_write,omitempty"`
	// LastError is how it failed last, and LastFailed when.
	LastError  string     `json:"last_error,omitempty"`
	LastFailed *time.Time `json:"last_failed,omitempty"`
}

// readiness finds out whether this node is ready, in about a second at most. It
// neither opens the denylist nor waits for it.
func (a *App) readiness(ctx context.Context) readiness {
	shared, active := a.shared, runningApp()
	other := active != nil && active.shared != shared
	if other && shared.loaded.Load() == nil { // as checks do
		shared = active.shared
	}
	reason := shared.reachable(ctx)
	if other && reason == reasonClosed {
		shared = active.shared
		reason = shared.reachable(ctx)
	}
	is := readiness{Ready: reason == "", Reasons: []string{}, Degraded: []string{}, Store: shared.use.health()}
	is.Store.Resource, is.Store.Reachable = shared.resource, is.Ready
	if !is.Ready {
		is.Reasons = append(is.Reasons, reason)
	}
	if shared.use.failing() {
		is.Degraded = append(is.Degraded, degradedWrites)
	}
	a.standing(&is)
	if other {
		is.Degraded = append(is.Degraded, degradedReloading)
	}
	return is
}

// reachable is why nothing can be checked with the denylist, or empty.
func (s *sharedDenylist) reachable(ctx context.Context) string {
	list := s.loaded.Load()
	if list == nil {
		select {
		case <-s.opened:
			return reasonNotOpened
		default:
			return reasonLoading
		}
	}
	switch err := s.probe.ask(ctx, list.Ping); {
	case err == nil:
		return ""
	case errors.Is(err, revocation.ErrClosed):
		return reasonClosed
	}
	return reasonUnreachable
}

// storeUse remembers how using a store went.
type storeUse struct {
	mu      sync.Mutex
	written time.Time // last
	failed  time.Time // last, in whatever was done
	err     error     // of that
	broken  bool      // the last write failed
}

// observe is told of each use.
func (u *storeUse) observe(op revocation.Operation) {
	writing := op.Name == "put"
	if !writing && op.Err == nil || errors.Is(op.Err, context.Canceled) || errors.Is(op.Err, revocation.ErrClosed) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	at := op.Began.Add(op.Took).UTC()
	if writing {
		u.broken = op.Err != nil
	}
	if op.Err != nil {
		u.failed, u.err = at, op.Err
	} else {
		u.written = at
	}
}

func (u *storeUse) failing() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.broken
}

func (u *storeUse) health() (h storeHealth) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if written := u.written; !written.IsZero() {
		h.LastWrite = &written
	}
	if failed := u.failed; u.err != nil {
		h.LastError, h.LastFailed = u.err.Error(), &failed
	}
	return h
}
