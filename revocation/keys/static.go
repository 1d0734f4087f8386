package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// maxDocument bounds a JWK Set in bytes, and maxKeys the keys in it.
const (
	maxDocument = 1 << 20
	maxKeys     = 100
)

// Static is a set of keys that does not change.
type Static struct {
	keys []jose.JSONWebKey
}

// Parse reads a JWK Set (RFC 7517 §5). Keys that cannot check signatures, by
// their kind, use, algorithm or size, or that are malformed, are left out; one
// has to remain. A private or symmetric key, and two keys of one kind with the
// same id, of which nobody knows which is meant, spoil the whole set.
func Parse(document []byte) (*Static, error) {
	if len(document) > maxDocument {
		return nil, fmt.Errorf("a JWK Set of more than %d bytes", maxDocument)
	}
	// The standard library bounds how deep a value is, and go-jose's decoder
	// refuses names that stand twice.
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if !stdjson.Valid(document) || json.Unmarshal(document, &set) != nil {
		return nil, errors.New("not a JWK Set in JSON")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("a JWK Set of %d keys: at most %d are possible", len(set.Keys), maxKeys)
	}
	s := &Static{}
	var unusable []string
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		if errors.Is(err, errSecret) {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		if err != nil {
			unusable = append(unusable, fmt.Sprintf("keys[%d]: %v", i, err))
			continue
		}
		if s.unclear(&key) {
			return nil, fmt.Errorf("keys[%d]: another key has the same kid", i)
		}
		s.keys = append(s.keys, key)
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("no key that can check a signature (%s)", strings.Join(unusable, "; "))
	}
	return s, nil
}

var errSecret = errors.New("a private or symmetric key does not belong in a JWK Set: keep it where it is used, and replace this one")

// secretMembers are those of private and symmetric keys (RFC 7518 §6).
var secretMembers = []string{"k", "d", "p", "q", "dp", "dq", "qi", "oth"}

// parseKey reads a key that can check signatures. The error is errSecret for one
// that nobody but its owner should have.
func parseKey(raw []byte) (jose.JSONWebKey, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return jose.JSONWebKey{}, errors.New("not a JSON object whose names stand once")
	}
	for _, name := range secretMembers {
		if _, there := members[name]; there {
			return jose.JSONWebKey{}, errSecret
		}
	}
	if ops, there := members["key_ops"]; there {
		var operations []string
		if json.Unmarshal(ops, &operations) != nil || !slices.Contains(operations, "verify") {
			return jose.JSONWebKey{}, errors.New(`key_ops without "verify"`)
		}
	}
	var key jose.JSONWebKey
	if key.UnmarshalJSON(raw) != nil {
		return jose.JSONWebKey{}, errors.New("malformed, or of an unknown kind or size")
	}
	for _, alg := range Asymmetric {
		if fits(&key, alg) {
			return key, nil
		}
	}
	return jose.JSONWebKey{}, fmt.Errorf("its use, algorithm or size are not those of signatures; RSA keys have %d to %d bits and an odd exponent from 3 on", minRSA, maxRSA)
}

// unclear says whether another key could be meant by the same id. One that merely
// stands twice could not.
func (s *Static) unclear(key *jose.JSONWebKey) bool {
	return key.KeyID != "" && slices.ContainsFunc(s.keys, func(other jose.JSONWebKey) bool {
		return other.KeyID == key.KeyID && !sameKey(&other, key) &&
			slices.ContainsFunc(Asymmetric, func(alg string) bool { return fits(&other, alg) && fits(key, alg) })
	})
}

func sameKey(a, b *jose.JSONWebKey) bool {
	public, ok := a.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.Key)
}

// Find implements [Set].
func (s *Static) Find(_ context.Context, kid, alg string) ([]jose.JSONWebKey, error) {
	return s.find(kid, alg), nil
}

func (s *Static) find(kid, alg string) (found []jose.JSONWebKey) {
	for i := range s.keys {
		key := &s.keys[i]
		if (kid == "" || key.KeyID == "" || key.KeyID == kid) && fits(key, alg) {
			found = append(found, *key)
		}
	}
	return found
}

// Holds implements [Certificates].
func (s *Static) Holds(_ context.Context, certificate *x509.Certificate) (bool, error) {
	return s.holds(certificate), nil
}

func (s *Static) holds(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(s.keys, func(key jose.JSONWebKey) bool { return isOf(&key, certificate) })
}

// isOf says whether a key came with a certificate. go-jose has checked that a
// first certificate has this key, and that the digest is that of it.
func isOf(key *jose.JSONWebKey, certificate *x509.Certificate) bool {
	if len(key.Certificates) > 0 {
		return key.Certificates[0].Equal(certificate)
	}
	digest := sha256.Sum256(certificate.Raw)
	return bytes.Equal(key.CertificateThumbprintSHA256, digest[:])
}
