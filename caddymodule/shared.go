package caddymodule

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// denylists holds what is open in this process, by the resource that it locks,
// so that it outlives the configuration that opened it: on a reload, old and
// new configuration overlap.
var denylists = caddy.NewUsagePool()

// sharedDenylist is a denylist that some configurations use, opened when one of
// them first needs it.
type sharedDenylist struct {
	loaded atomic.Pointer[revocation.Denylist] // nil until it can be used

	once   sync.Once
	opened chan struct{} // closed when loaded and err are final
	err    error

	lifetime context.Context
	end      context.CancelFunc

	loading struct { // final once loaded is
		ended   time.Time
		took    time.Duration
		records int
	}

	resource string
	use      storeUse
	probe    probe
	// lastRead is when the store was last read with success, in Unix nanoseconds; 0
	// for not yet.
	lastRead atomic.Int64
}

func acquire(key string) *sharedDenylist {
	shared, _, _ := denylists.LoadOrNew(key, func() (caddy.Destructor, error) {
		s := &sharedDenylist{opened: make(chan struct{}), resource: key}
		s.lifetime, s.end = context.WithCancel(context.Background())
		return s, nil
	})
	return shared.(*sharedDenylist)
}

func release(key string) error {
	_, err := denylists.Delete(key)
	return err
}

// running returns the app of the configuration that runs, with its denylist, which is
// nil before the first one does.
func running() (app *App, list *revocation.Denylist) {
	if app = runningApp(); app != nil {
		list = app.shared.loaded.Load()
	}
	return app, list
}

// runningApp returns the app of the configuration that runs, or nil.
func runningApp() *App {
	app, err := caddy.ActiveContext().AppIfConfigured(appName)
	if err != nil {
		return nil
	}
	return app.(*App)
}

// get returns the denylist. The first call opens it; all wait for that, each
// until its context ends.
func (s *sharedDenylist) get(ctx context.Context, open func(context.Context) (*revocation.Denylist, error)) (*revocation.Denylist, error) {
	s.once.Do(func() {
		go func() {
			defer close(s.opened)
			began := time.Now()
			var list *revocation.Denylist
			if list, s.err = open(s.lifetime); s.err == nil {
				s.loading.ended, s.loading.took, s.loading.records = time.Now(), time.Since(began), list.Stats().Total()
				s.loaded.Store(list)
			}
		}()
	})
	select {
	case <-s.opened:
		return s.loaded.Load(), s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// observe is told of each use of the store.
func (s *sharedDenylist) observe(op revocation.Operation) {
	s.use.observe(op)
	metrics.store.observe(op)
	if op.Err == nil && op.Name != "put" {
		s.lastRead.Store(op.Began.Add(op.Took).UnixNano())
	}
}

// Destruct closes the denylist when the last configuration has let go of it.
// A request that is still under way gets an error from then on.
func (s *sharedDenylist) Destruct() error {
	s.end()
	neverOpened := false
	s.once.Do(func() {
		neverOpened = true
		s.err = revocation.ErrClosed
		close(s.opened)
	})
	<-s.opened
	if neverOpened || s.err != nil {
		return nil
	}
	list := s.loaded.Load()
	defer metrics.caches.closed(list)
	return list.Close()
}
