package revocation

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Operation is one use of a store.
type Operation struct {
	// Name is "get", "put", "scan" or "drop".
	Name string
	// Began is when, and Took how long.
	Began time.Time
	Took  time.Duration
	// Err is how it failed, or nil. That there is no record is no failure.
	Err error
}

// observed is a store whose use is told.
type observed struct {
	Store
	now      func() time.Time
	observer atomic.Pointer[func(Operation)] // nil is nobody
}

func (o *observed) tell(observer func(Operation)) {
	if observer == nil {
		o.observer.Store(nil)
		return
	}
	o.observer.Store(&observer)
}

func (o *observed) done(name string, began time.Time, err error) {
	observer := o.observer.Load()
	if observer == nil {
		return
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	(*observer)(Operation{Name: name, Began: began, Took: o.now().Sub(began), Err: err})
}

func (o *observed) Put(ctx context.Context, batch Batch) error {
	began := o.now()
	err := o.Store.Put(ctx, batch)
	o.done("put", began, err)
	return err
}

func (o *observed) Get(key Key) (Record, error) {
	began := o.now()
	r, err := o.Store.Get(key)
	o.done("get", began, err)
	return r, err
}

func (o *observed) Scan(ctx context.Context, from Key, f func(Record) error) error {
	began := o.now()
	var stopped error
	err := o.Store.Scan(ctx, from, func(r Record) error {
		stopped = f(r)
		return stopped
	})
	if stopped != nil { // by whoever asked
		o.done("scan", began, nil)
	} else {
		o.done("scan", began, err)
	}
	return err
}

func (o *observed) Drop(ctx context.Context, before time.Time) (int, error) {
	began := o.now()
	n, err := o.Store.Drop(ctx, before)
	o.done("drop", began, err)
	return n, err
}
