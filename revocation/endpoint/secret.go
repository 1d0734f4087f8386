package endpoint

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

// Secret is a client secret, as it is or as a hash. Comparing takes a time that
// does not depend on how much of a guess is right.
type Secret struct {
	key [sha256.Size]byte // of the digests below, so that they mean nothing elsewhere
	// right is the digest of the right secret: known from the start for a plain
	// one, and for a hashed one since it was last given, so that a client that
	// revokes a thousand times a second does not hash as often.
	right atomic.Pointer[[sha256.Size]byte]
	slow  func(guess string) bool // nil for a plain secret
	plain []byte                  // nil for a hashed one; what signs assertions
}

// PlainSecret is a secret as it is. It must not be empty.
func PlainSecret(secret string) (*Secret, error) {
	if secret == "" {
		return nil, errors.New("the secret is empty")
	}
	s := newSecret(nil)
	s.plain = []byte(secret)
	digest := s.digest(secret)
	s.right.Store(&digest)
	return s, nil
}

const (
	maxArgonMemory = 1 << 20 // KiB
	maxArgonTime   = 64
	maxBcryptCost  = 20 // about a minute
	maxBcrypt      = 72 // bytes of a secret; bcrypt ignores the rest
)

// HashedSecret is a secret of which only a hash is known: bcrypt ("$2b$…"), or
// argon2id in the PHC string format ("$argon2id$v=19$m=…,t=…,p=…$…$…").
func HashedSecret(hash string) (*Secret, error) {
	if strings.HasPrefix(hash, "$argon2id$") {
		params, _, _, err := argon2id.DecodeHash(hash)
		if err != nil {
			return nil, fmt.Errorf("the argon2id hash cannot be read: %w", err)
		}
		if params.Memory > maxArgonMemory || params.Iterations > maxArgonTime || params.Iterations == 0 || params.Parallelism == 0 || params.KeyLength == 0 {
			return nil, errors.New("the argon2id hash has parameters out of range")
		}
		return newSecret(func(guess string) bool {
			ok, err := argon2id.ComparePasswordAndHash(guess, hash)
			return err == nil && ok
		}), nil
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return nil, errors.New("the hash is neither bcrypt nor argon2id")
	}
	if cost > maxBcryptCost {
		return nil, fmt.Errorf("the bcrypt hash has cost %d: at most %d is possible", cost, maxBcryptCost)
	}
	return newSecret(func(guess string) bool {
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(guess))
		return err == nil && len(guess) <= maxBcrypt
	}), nil
}

func newSecret(slow func(string) bool) *Secret {
	s := &Secret{slow: slow}
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

func (s *Secret) digest(guess string) (d [sha256.Size]byte) {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(guess))
	mac.Sum(d[:0])
	return d
}

// hashing bounds how many slow comparisons run at once, as each takes a core
// and, with argon2id, much memory; hashingWait how long one waits for its turn.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))

const hashingWait = 5 * time.Second

var errBusy = errors.New("too many clients are authenticating")

// isAny says whether the secret of one of the readings is right. The error is
// errBusy or that of ctx.
func (s *Secret) isAny(ctx context.Context, readings []reading) (bool, error) {
	// One that is known to be right spares the others a slow comparison.
	for _, r := range readings {
		if s.remembers(r.secret) {
			return true, nil
		}
	}
	if s.slow == nil {
		return false, nil
	}
	for _, r := range readings {
		if right, err := s.hashes(ctx, r.secret); right || err != nil {
			return right, err
		}
	}
	return false, nil
}

// remembers says whether a guess is known to be right.
func (s *Secret) remembers(guess string) bool {
	digest := s.digest(guess)
	right := s.right.Load()
	return right != nil && hmac.Equal(right[:], digest[:])
}

// hashes says whether a guess has the hash, when its turn has come.
func (s *Secret) hashes(ctx context.Context, guess string) (bool, error) {
	timeout := time.NewTimer(hashingWait)
	defer timeout.Stop()
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-timeout.C:
		return false, errBusy
	case <-ctx.Done():
		return false, ctx.Err()
	}
	// While this one waited, another may have found out.
	if s.remembers(guess) {
		return true, nil
	}
	if !s.slow(guess) {
		return false, nil
	}
	digest := s.digest(guess)
	s.right.Store(&digest)
	return true, nil
}
