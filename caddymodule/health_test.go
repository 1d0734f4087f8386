package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/boltstore"
)

// What a node says of itself from when its denylist is configured until it is
// closed.
func TestReadiness(t *testing.T) {
	path := filepath.Join(t.TempDir(), "denylist.db")
	a := &App{shared: acquire(path)}
	wants := func(want string) {
		t.Helper()
		is := a.readiness(t.Context())
		if got := fmt.Sprintf("%v %v %v %v %v %s", is.Ready, is.Reasons, is.Degraded, is.Store.Reachable, is.Store.LastWrite != nil, is.Store.LastError); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if is.Store.Resource != path {
			t.Errorf("the store is %q", is.Store.Resource)
		}
	}
	wants("false [loading] [] false false ")
	list, err := a.shared.get(t.Context(), func(ctx context.Context) (*revocation.Denylist, error) {
		store, err := boltstore.Open(ctx, path, time.Second)
		if err != nil {
			return nil, err
		}
		return revocation.Open(ctx, store, revocation.Options{CacheBytes: 1 << 20, Observe: a.shared.use.observe})
	})
	if err != nil {
		t.Fatal(err)
	}
	wants("true [] [] true false ")
	r := revocation.Record{Key: revocation.UsedKey("a", "b"), Expires: time.Now().Add(time.Hour)}
	if err := list.Revoke(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wants("true [] [] true true ")

	for _, op := range []revocation.Operation{
		{Name: "get", Began: time.Now(), Err: errors.New("cannot be read")}, // which says nothing of writing
		{Name: "put", Began: time.Now(), Err: context.Canceled},             // nor does who hangs up
		{Name: "put", Began: time.Now(), Err: revocation.ErrClosed},
	} {
		a.shared.use.observe(op)
	}
	wants("true [] [] true true cannot be read")
	a.shared.use.observe(revocation.Operation{Name: "put", Began: time.Now(), Err: errors.New("no space left on device")})
	a.shared.use.observe(revocation.Operation{Name: "get", Began: time.Now()})
	wants("true [] [writes_failing] true true no space left on device")
	if err := list.Revoke(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wants("true [] [] true true no space left on device")

	if err := release(path); err != nil {
		t.Fatal(err)
	}
	a.shared.probe = probe{} // a second later
	wants("false [closed] [] false true no space left on device")

	a.shared = acquire(path)
	defer func() { _ = release(path) }()
	failure := errors.New("locked")
	if _, err := a.shared.get(t.Context(), func(context.Context) (*revocation.Denylist, error) { return nil, failure }); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	wants("false [store_not_opened] [] false false ")
}
