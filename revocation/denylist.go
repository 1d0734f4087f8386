package revocation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a [Denylist]. All but Now and Progress can be changed later
// with [Denylist.Tune].
type Options struct {
	// CacheBytes is the budget of the cache of records, in bytes; more than 0.
	CacheBytes int64
	// Leeway is how long beyond its end a record is kept and enforced, for the
	// clocks of those who accept the tokens. Not negative.
	Leeway time.Duration

	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Progress is told how a load is going, at most once a second; nil is nobody.
	Progress func(Progress)
	// Failed is told of work in the background that failed and will be tried
	// again; nil is nobody.
	Failed func(error)
	// Observe is told of each use of the store; nil is nobody. It must be quick
	// and safe for concurrent use.
	Observe func(Operation)
}

func (o *Options) validate() error {
	if o.CacheBytes <= 0 {
		return fmt.Errorf("a cache of %d bytes is not possible", o.CacheBytes)
	}
	if o.Leeway < 0 {
		return fmt.Errorf("a leeway of %s is negative", o.Leeway)
	}
	return nil
}

// Outcome is what is known about a key.
type Outcome uint8

// The outcomes of a check. Only Clear and Counted let a token pass.
const (
	Unknown Outcome = iota // the truth could not be found out
	Revoked
	Clear
	Counted // a dry run would refuse it, see [Count]
)

// Verdict is the answer to a check.
type Verdict struct {
	Outcome Outcome
	// Record is the record that revokes, or would; not to be changed. Only if
	// Revoked or Counted.
	Record *Record
	// Err says why the outcome is Unknown.
	Err error
}

// Denylist is all live records: in memory for checking, in a [Store] for
// keeping. Its methods are safe for concurrent use.
type Denylist struct {
	store    *observed
	volatile bool // the store is [Volatile]
	indexes  indexes
	kinds    kinds
	shares   *shares
	cache    *cache
	hot      hotRules
	trials   trials
	now      func() time.Time
	failed   atomic.Pointer[func(error)] // Options.Failed, never nil
	leeway   atomic.Int64                // a time.Duration

	inUse sync.Map // the keys of all claims

	publishers publishers
	apart      atomic.Int32 // decisions that are stored here while they are being published

	sweeping sync.Mutex // held while the index forgets, or learns what it forgot

	// using is held for reading by whoever uses cache or store, and for writing
	// by Close: neither may be used once it is closed.
	using  sync.RWMutex
	closed atomic.Bool

	stop    context.CancelFunc
	stopped chan struct{}
}

// Open loads the store's live records and returns the denylist that serves
// them. From then on the store belongs to the denylist, which closes it; if
// Open fails, the store is closed already.
func Open(ctx context.Context, store Store, options Options) (*Denylist, error) {
	d, err := open(ctx, store, options)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return d, nil
}

func open(ctx context.Context, store Store, options Options) (*Denylist, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	d := &Denylist{now: options.Now, stopped: make(chan struct{})}
	if d.now == nil {
		d.now = time.Now
	}
	d.store = &observed{Store: store, now: d.now}
	_, d.volatile = store.(Volatile)
	d.apply(options)
	d.indexes, d.shares = newIndexes(d.now()), newShares()
	if err := d.load(ctx, d.shares, options.Progress); err != nil {
		return nil, fmt.Errorf("loading the denylist: %w", err)
	}
	var err error
	if d.cache, err = newCache(options.CacheBytes, d.indexes[KindToken]); err != nil {
		return nil, err
	}
	var sweeping context.Context
	sweeping, d.stop = context.WithCancel(context.Background())
	go d.keepSweeping(sweeping)
	return d, nil
}

// apply takes the options that can change.
func (d *Denylist) apply(options Options) {
	d.leeway.Store(int64(options.Leeway))
	if options.Failed == nil {
		options.Failed = func(error) {}
	}
	d.failed.Store(&options.Failed)
	d.store.tell(options.Observe)
}

// Tune applies new options to the living denylist. With more leeway, what the
// index has forgotten is live again, and is loaded anew.
func (d *Denylist) Tune(options Options) error {
	if err := options.validate(); err != nil {
		return err
	}
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return ErrClosed
	}
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	before := time.Duration(d.leeway.Load())
	if options.Leeway > before {
		// What is cached and has ended would be live again, and the store may know
		// of another record by now.
		d.cache.outdate()
	}
	d.apply(options)
	d.cache.resize(options.CacheBytes)
	if options.Leeway <= before {
		return nil
	}
	// Those that are live again had ended, and so are in nobody's share.
	if err := d.load(context.Background(), nil, options.Progress); err != nil {
		return fmt.Errorf("loading the denylist again: %w", err)
	}
	return nil
}

// Check says whether a key is revoked. It touches memory and, only where the
// index suspects the key, the node's own store. For a key that is not revoked
// it takes no lock and does not allocate.
func (d *Denylist) Check(key *Key) Verdict { return d.CheckIssued(key, time.Time{}) }

// CheckIssued is Check for a token that says when it was issued; zero if it does
// not say, or not clearly: then it counts as issued before any time. For keys of
// rules, [Rules.Check] is quicker.
func (d *Denylist) CheckIssued(key *Key, issued time.Time) Verdict {
	if !key.Kind.worded() && !d.indexes.of(key.Kind).has(key) && !d.closed.Load() {
		return Verdict{Outcome: Clear}
	}
	r, err := d.find(*key)
	switch {
	case err == nil:
		return verdict(r, issued)
	case errors.Is(err, ErrNotFound):
		return Verdict{Outcome: Clear}
	}
	return Verdict{Err: err}
}

// find finds out whether what the index suspects is so: it returns the live record
// of a key, from the cache if that has it, or [ErrNotFound].
func (d *Denylist) find(key Key) (*Record, error) {
	if d.closed.Load() { // and perhaps closing for as long as a disk is stuck
		return nil, fmt.Errorf("checking %s: %w", key, ErrClosed)
	}
	d.using.RLock()
	defer d.using.RUnlock()
	if d.closed.Load() {
		return nil, fmt.Errorf("checking %s: %w", key, ErrClosed)
	}
	now, leeway := d.now(), time.Duration(d.leeway.Load())
	if r, ok := d.cache.get(&key); ok && r.live(now, leeway) {
		return r, nil
	}
	// A cached record that has ended is no answer: the store may know one that
	// ends later.
	generation := d.cache.generation()
	r, err := d.store.Get(key)
	switch {
	case err == nil && r.live(now, leeway):
		d.cache.put(&r, generation)
		return &r, nil
	case err == nil, errors.Is(err, ErrNotFound):
		return nil, ErrNotFound
	}
	return nil, fmt.Errorf("checking %s: %w", key, err)
}

// verdict is what a live record means for a token.
func verdict(r *Record, issued time.Time) Verdict {
	switch {
	case r.Effect == Restored, !r.covers(issued):
		return Verdict{Outcome: Clear}
	case r.Effect == Count:
		return Verdict{Outcome: Counted, Record: r}
	}
	return Verdict{Outcome: Revoked, Record: r}
}

// Live says whether a record still matters, or is too old to be stored.
func (d *Denylist) Live(r *Record) bool {
	return r.live(d.now(), time.Duration(d.leeway.Load()))
}

// Close waits for what is under way, then closes cache and store. Every later
// check is Unknown with ErrClosed.
func (d *Denylist) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	d.stop()
	<-d.stopped
	d.using.Lock()
	defer d.using.Unlock()
	d.cache.close()
	return d.store.Close()
}
