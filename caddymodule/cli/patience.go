package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/pflag"
)

const (
	firstWait = 200 * time.Millisecond
	maxWait   = 5 * time.Second
)

func patienceFlag(flags *pflag.FlagSet) {
	flags.Duration("patience", 2*time.Minute, "How long to go on trying while Caddy restarts, reloads or cannot write")
}

// patience says whether to try again what failed: for a bounded time since
// something last went on.
type patience struct {
	bound   time.Duration
	waits   *backoff.ExponentialBackOff
	since   time.Time
	reached bool // somebody was there
}

func (c *call) patience() (*patience, error) {
	bound, err := c.flags.GetDuration("patience")
	if err != nil {
		return nil, err
	}
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = firstWait, maxWait
	return &patience{bound: bound, waits: waits, since: time.Now()}, nil
}

// goesOn says that something went on.
func (p *patience) goesOn() {
	p.reached, p.since = true, time.Now()
	p.waits.Reset()
}

// again waits until it is worth trying again, or returns the error with which to
// end.
func (p *patience) again(ctx context.Context, failed error) error {
	if cause := context.Cause(ctx); cause != nil {
		return errInterrupted
	}
	if !p.worth(failed) {
		return failed
	}
	wait := p.waits.NextBackOff()
	var refused *refusal
	if errors.As(failed, &refused) {
		wait = max(wait, min(refused.after, maxWait))
	}
	if time.Since(p.since)+wait > p.bound {
		return fmt.Errorf("nothing went on for %s: %w", p.bound, failed)
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return errInterrupted
	}
}

var errInterrupted = errors.New("interrupted")

// worth says whether another try may go better. An address at which nothing
// listens is wrong unless somebody was there before.
func (p *patience) worth(failed error) bool {
	if errors.Is(failed, syscall.ECONNREFUSED) || errors.Is(failed, syscall.ENOENT) {
		return p.reached
	}
	p.reached = true
	var refused *refusal
	if errors.As(failed, &refused) {
		switch refused.status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return !errors.Is(failed, errNonsense)
}
