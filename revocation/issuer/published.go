package issuer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// published is a set of keys that others change, of which what was fetched is a
// copy. It does not say that it lacks a key on the grounds of a copy that is older
// than the question: whoever sent a token with the newest key would hear that it
// is forged. Copies are fetched for what they lack, but not as often as strangers
// like.
type published struct {
	keys.Set
	fetched func() time.Time
	now     func() time.Time
}

// Find implements [keys.Set].
func (p published) Find(ctx context.Context, kid, alg string) ([]jose.JSONWebKey, error) {
	asked := p.now()
	found, err := p.Set.Find(ctx, kid, alg)
	if err != nil || len(found) > 0 || !p.fetched().Before(asked) || p.knows(ctx, kid) {
		return found, err
	}
	return nil, fmt.Errorf("%w: the key may be newer than what was fetched", keys.ErrUnavailable)
}

// knows says whether there is a key with this id, for any algorithm.
func (p published) knows(ctx context.Context, kid string) bool {
	return slices.ContainsFunc(keys.Asymmetric, func(alg string) bool {
		found, err := p.Set.Find(ctx, kid, alg)
		return err == nil && len(found) > 0
	})
}
