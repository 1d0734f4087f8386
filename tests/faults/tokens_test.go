package faults

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"slices"
	"sync"
)

// tokens are those that are about.
type tokens struct {
	mu           sync.Mutex
	acknowledged []string // somebody has promised that they are revoked
	attempted    []string // nobody has
	asked        []string // somebody has asked with them, and nobody has revoked them yet
}

// few bounds the tokens that were not promised to be revoked, and are used again.
const few = 64

// note takes note of an attempt to revoke a token, whose answer has come when now
// is called.
func (k *tokens) note(token string, acknowledged bool, now func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now()
	if acknowledged {
		k.acknowledged = append(k.acknowledged, token)
	} else {
		k.attempted = last(append(k.attempted, token), few)
	}
}

// all returns those that are promised to be revoked, and calls now: an attempt that
// was answered before that is among them.
func (k *tokens) all(now func()) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	now()
	return slices.Clone(k.acknowledged)
}

// count is how many are promised to be revoked.
func (k *tokens) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.acknowledged)
}

// toRevoke returns a token that most often somebody has asked with.
func (k *tokens) toRevoke() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch n := len(k.asked); {
	case len(k.attempted) > 0 && mathrand.IntN(20) == 0:
		return k.attempted[mathrand.IntN(len(k.attempted))]
	case n > 0:
		token := k.asked[n-1]
		k.asked = k.asked[:n-1]
		return token
	}
	return newToken()
}

// toAsk returns a token of any kind.
func (k *tokens) toAsk() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch n := mathrand.IntN(10); {
	case n < 3 && len(k.acknowledged) > 0: // not long ago
		return one(last(k.acknowledged, few))
	case n < 5 && len(k.acknowledged) > 0:
		return one(k.acknowledged)
	case n < 6 && len(k.attempted) > 0:
		return one(k.attempted)
	case n < 8:
		return "innocent-" + newToken()
	}
	token := newToken()
	k.asked = last(append(k.asked, token), few)
	return token
}

func newToken() string { return rand.Text() }

func one(list []string) string { return list[mathrand.IntN(len(list))] }

func last(list []string, n int) []string { return list[max(0, len(list)-n):] }
