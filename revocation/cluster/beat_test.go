package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// slow is an engine that takes its time for heartbeats, and keeps when it was asked.
type slow struct {
	Engine
	takes time.Duration
	asked *[]time.Time
}

func (s slow) Beat(ctx context.Context, _ uint64) error {
	*s.asked = append(*s.asked, time.Now())
	sleep(ctx, s.takes)
	return context.Cause(ctx)
}

func (s slow) Note(context.Context, []byte) error { return nil }

// An engine that is slow gets fewer heartbeats, but never so few that its nodes become
// stale for that.
func TestBeatsOfSlowEngine(t *testing.T) {
	for _, test := range []struct {
		takes, pause, want time.Duration
	}{
		{time.Millisecond, 0, 100 * time.Millisecond},
		{50 * time.Millisecond, 0, 400 * time.Millisecond},
		{time.Second, 0, time.Second},
		{50 * time.Millisecond, 200 * time.Millisecond, 200 * time.Millisecond},
		{time.Second, 200 * time.Millisecond, 200 * time.Millisecond},
		{time.Second, time.Hour, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var asked []time.Time
			n := &Node{
				engine: slow{takes: test.takes, asked: &asked}, clock: clockOf(nil),
				options: Options{Beat: 100 * time.Millisecond, Pause: test.pause, Silence: 3 * time.Second},
			}
			n.options.setDefaults()
			ctx, cancel := context.WithCancel(t.Context())
			r := newReceiver(ctx, n)
			r.busy.Store(true) // that nothing comes by is no silence
			go r.keepBeating()
			time.Sleep(10 * time.Second)
			cancel()
			synctest.Wait()
			if len(asked) < 3 {
				t.Fatalf("%d heartbeats", len(asked))
			}
			for i := 1; i < len(asked); i++ {
				if d := asked[i].Sub(asked[i-1]) - test.takes; d != test.want {
					t.Errorf("%s after one that took %s and was to be followed within %s comes the next", d, test.takes, test.pause)
				}
			}
		})
	}
}
