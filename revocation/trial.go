package revocation

import (
	"sync"
	"time"

	"github.com/axiomhq/hyperloglog"
)

// Trial is what a dry run (see [Count]) has shown since this process knows of
// it. It is in memory only.
type Trial struct {
	// Requests is how many requests it would have refused that passed.
	Requests uint64
	// Tokens is how many distinct tokens they had: exact while there are few, and
	// to about 1 % when there are many.
	Tokens uint64
	// First and Last are when the first and the last such request came; zero if
	// none did.
	First, Last time.Time
}

// maxTrials is how many dry runs are counted at once, so that memory is bounded:
// 16 KB each at most. Of any more nothing is known.
const maxTrials = 1024

type trials struct {
	mu    sync.Mutex
	byKey map[Key]*trial
}

type trial struct {
	Trial
	distinct *hyperloglog.Sketch
	expires  time.Time
}

// Tried is what the dry run with a key has shown.
func (d *Denylist) Tried(key Key) Trial {
	d.trials.mu.Lock()
	defer d.trials.mu.Unlock()
	t := d.trials.byKey[key]
	if t == nil {
		return Trial{}
	}
	shown := t.Trial
	shown.Tokens = t.distinct.Estimate()
	return shown
}

// Try counts a request with a token that a dry run would have refused.
func (d *Denylist) Try(dry *Record, token *Key) {
	now, hash := d.now(), d.indexes[KindToken].hash(token)
	d.trials.mu.Lock()
	defer d.trials.mu.Unlock()
	t := d.trials.of(dry, now)
	if t == nil {
		return
	}
	t.Requests++
	t.Last = now
	t.expires = dry.Expires
	t.distinct.InsertHash(hash)
}

// of is the trial of a dry run, or nil if there is no room for one more.
func (t *trials) of(dry *Record, now time.Time) *trial {
	if found := t.byKey[dry.Key]; found != nil {
		return found
	}
	if len(t.byKey) == maxTrials {
		return nil
	}
	if t.byKey == nil {
		t.byKey = make(map[Key]*trial)
	}
	added := &trial{Trial: Trial{First: now}, distinct: hyperloglog.New14()}
	t.byKey[dry.Key] = added
	return added
}

func (t *trials) end(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byKey, key)
}

// sweep forgets the trials of records that ended before a time.
func (t *trials) sweep(ended time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, of := range t.byKey {
		if of.expires.Before(ended) {
			delete(t.byKey, key)
		}
	}
}
