package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// probeFor is how long the outcome of a probe is good for: however often
	// readiness is asked for, the disk is asked this rarely.
	probeFor = time.Second
	// probeTimeout is how long anybody waits for a probe.
	probeTimeout = time.Second
)

var errStuck = errors.New("the store does not answer in time")

// probe finds out whether something works that may get stuck: one attempt at a
// time, however many want to know.
type probe struct {
	mu      sync.Mutex
	done    chan struct{} // of the attempt under way; nil if there is none
	began   time.Time     // of that attempt, or the one before
	outcome error
}

// ask returns what work has returned within the last second, or returns now. If
// that takes longer than a second, or than ctx, it is an error.
func (p *probe) ask(ctx context.Context, work func() error) error {
	done, left, err := p.attempt(work)
	if done == nil {
		return err
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.outcome
	case <-timer.C:
		return errStuck
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attempt joins the attempt under way, or begins one if the outcome of the last
// is too old. Of an attempt it says how much longer it may take.
func (p *probe) attempt(work func() error) (done <-chan struct{}, left time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := time.Since(p.began)
	switch {
	case p.done != nil && age >= probeTimeout:
		return nil, 0, errStuck
	case p.done != nil:
		return p.done, probeTimeout - age, nil
	case !p.began.IsZero() && age < probeFor:
		return nil, 0, p.outcome
	}
	p.began, p.done = time.Now(), make(chan struct{})
	go p.run(work, p.done)
	return p.done, probeTimeout, nil
}

func (p *probe) run(work func() error, done chan struct{}) {
	err := work()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outcome, p.done = err, nil
	close(done)
}
