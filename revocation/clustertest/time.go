package clustertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// applyInTime asserts that nothing waits longer than it may, and that nothing is
// acknowledged that was not done.
func applyInTime(f *fixture) {
	engine := f.open()
	f.apply(engine, record(1))
	f.place.Stop()
	for name, call := range map[string]func(context.Context) error{
		"Apply": func(ctx context.Context) error { return engine.Apply(ctx, records(2, 3)) },
		"Beat":  func(ctx context.Context) error { return engine.Beat(ctx, 1) },
		"Note":  func(ctx context.Context) error { return engine.Note(ctx, []byte("note")) },
	} {
		ctx, cancel := context.WithTimeout(f.Context(), 200*time.Millisecond)
		start := time.Now()
		err := call(ctx)
		cancel()
		if took := time.Since(start); err == nil || took > 3*time.Second {
			f.Errorf("without a server, %s = %v after %s", name, err, took)
		}
	}
	f.place.Start()
	f.ready(engine)
	f.apply(engine, record(3))
	f.follow(engine, nil).wants(record(1), record(3))
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if err := engine.Apply(ctx, records(4, 5)); err == nil {
		f.follow(engine, nil).wants(record(4))
	}
}

// closeEnds asserts that Close ends what is under way, and that nothing works after.
func closeEnds(f *fixture) {
	engine, writer := f.open(), f.open()
	s := f.follow(engine, nil)
	s.mustReachEnd()
	applying := make(chan error)
	go func() {
		for i := 0; ; i++ {
			if err := writer.Apply(f.Context(), records(i, i+1)); err != nil {
				applying <- err
				return
			}
		}
	}()
	if err := engine.Close(); err != nil {
		f.Errorf("Close: %v", err)
	}
	if err := writer.Close(); err != nil {
		f.Errorf("Close: %v", err)
	}
	for name, ended := range map[string]func() error{
		"Sync":  func() error { <-s.ended; return s.err },
		"Apply": func() error { return <-applying },
	} {
		if err := ended(); !errors.Is(err, revocation.ErrClosed) {
			f.Errorf("%s, which was under way, = %v; want ErrClosed", name, err)
		}
	}
	for name, call := range map[string]func() error{
		"Apply": func() error { return engine.Apply(f.Context(), records(0, 1)) },
		"Beat":  func() error { return engine.Beat(f.Context(), 1) },
		"Note":  func() error { return engine.Note(f.Context(), []byte("note")) },
		"Sync":  func() error { s := f.follow(engine, nil); <-s.ended; return s.err },
	} {
		if err := call(); !errors.Is(err, revocation.ErrClosed) {
			f.Errorf("%s after Close = %v; want ErrClosed", name, err)
		}
	}
	if err := engine.Close(); err != nil {
		f.Errorf("a second Close: %v", err)
	}
	_ = engine.Warnings()
}

// closeLeavesNothing uses engines in several ways, closes them and looks for what
// is left.
func closeLeavesNothing(t *testing.T, place Place) {
	f := &fixture{T: t, place: place}
	// One that never finds its server.
	place.Stop()
	before := goleak.IgnoreCurrent()
	if err := f.openAt(place).Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	f.noGoroutines(before)
	place.Start()
	base := place.Left()
	if err := f.open().Close(); err != nil { // what it makes at the server stays
		t.Errorf("Close: %v", err)
	}
	f.eventually("nothing is left at the server", func() bool { return place.Left() <= base })
	before = goleak.IgnoreCurrent()
	for range 3 {
		engine, lonely := f.open(), f.open()
		f.apply(engine, records(0, 2000)...)
		s := f.follow(engine, nil)
		s.mustReachEnd()
		ended := f.follow(engine, nil)
		ended.stop()
		stuck := f.followWith(lonely, nil, func([]revocation.Record) error { time.Sleep(100 * time.Millisecond); return nil })
		for _, close := range []func() error{engine.Close, lonely.Close} {
			if err := close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		<-s.ended
		<-stuck.ended
	}
	f.eventually("nothing is left at the server", func() bool { return place.Left() <= base })
	f.noGoroutines(before)
}

func (f *fixture) noGoroutines(but goleak.Option) {
	f.Helper()
	var leaked error
	for range 20 { // each waits for a while
		if leaked = goleak.Find(but); leaked == nil {
			return
		}
	}
	f.Error(leaked)
}

// expiry asserts that records stay until their end and the grace beyond it, and
// not for ever.
func expiry(f *fixture) {
	engine := f.open()
	short := record(1)
	short.Expires = time.Now().Truncate(time.Second).Add(2 * time.Second)
	ended := record(2) // such as a node sends whose clock is behind
	ended.Expires = time.Now().Add(-time.Second)
	until := short.Expires.Add(f.place.Grace())
	f.apply(engine, record(3))
	f.apply(engine, short)
	f.apply(engine, ended)
	for time.Now().Before(until.Add(-500 * time.Millisecond)) {
		s := f.follow(engine, nil)
		s.wants(record(3))
		at := time.Now()
		if s.state().lacks(short) > 0 && at.Before(until) {
			f.Fatalf("a record is gone %s before its end and grace", until.Sub(at))
		}
		s.stop()
		time.Sleep(50 * time.Millisecond)
	}
	f.eventually("the record is gone", func() bool {
		s := f.follow(engine, nil)
		defer s.stop()
		s.wants(record(3))
		return s.count() == 1
	})
}
