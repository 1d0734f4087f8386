package operator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	// minDigits is how many digits of an id must be there: as many as logs show.
	minDigits = 12
	allDigits = 64
)

var errEnough = errors.New("enough")

// Find returns the live record with an id, whose last digits may be left out, up
// to the twelve that logs show. The error is [ErrInvalid], [ErrAmbiguous] if
// several records begin so, or [revocation.ErrNotFound].
func Find(ctx context.Context, list *revocation.Denylist, id string) (revocation.Record, error) {
	kind, digits, err := parseID(id)
	if err != nil {
		return revocation.Record{}, err
	}
	from, err := revocation.ParseID(kind.String() + ":" + digits + strings.Repeat("0", allDigits-len(digits)))
	if err != nil {
		return revocation.Record{}, invalid("id", "has digits that are not hexadecimal")
	}
	if len(digits) == allDigits {
		return list.Get(from)
	}
	var found []revocation.Record
	err = list.Scan(ctx, from, func(r revocation.Record) error {
		if r.Key.Kind != kind || !strings.HasPrefix(hex.EncodeToString(r.Key.Digest[:]), digits) {
			return errEnough
		}
		if found = append(found, r); len(found) > 1 {
			return errEnough
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return revocation.Record{}, fmt.Errorf("looking for a record: %w", err)
	case len(found) == 0:
		return revocation.Record{}, revocation.ErrNotFound
	case len(found) > 1:
		return revocation.Record{}, ErrAmbiguous
	}
	return found[0], nil
}

func parseID(id string) (kind revocation.Kind, digits string, err error) {
	name, digits, ok := strings.Cut(id, ":")
	kind, err = revocation.ParseKind(name)
	switch {
	case !ok || err != nil:
		return 0, "", invalid("id", "must be a kind, a colon and hexadecimal digits, such as token:9f86d081884c")
	case len(digits) < minDigits || len(digits) > allDigits:
		return 0, "", invalid("id", fmt.Sprintf("must have %d to %d digits", minDigits, allDigits))
	}
	return kind, strings.ToLower(digits), nil
}
