package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2

	// maxAhead is how far in the future an assertion may end, and clockLeeway how
	// far the client's clock may be off: an assertion is accepted that long
	// beyond its end, and that long before its beginning.
	maxAhead    = 10 * time.Minute
	clockLeeway = 30 * time.Second

	// usingTime is how long it may take from when an assertion is accepted until
	// that it was used is durable.
	usingTime = time.Minute

	maxJTI = 256 // bytes
)

// claims are those of an assertion that matter here (RFC 7523 §3).
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
	IssuedAt  *float64 `json:"iat"`
	ID        string   `json:"jti"`
}

// audience is one text or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audience) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*a = make(audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// presentAssertion reads what an assertion and the client_id beside it say about
// the client (RFC 7521 §4.2).
func presentAssertion(kind, assertion, formID string) (credentials, *refusal) {
	if kind != assertionType {
		return credentials{}, invalidClient(false)
	}
	t, err := keys.Unverified(assertion)
	if err != nil {
		return credentials{}, invalidClient(false)
	}
	var said struct {
		Subject string `json:"sub"`
	}
	_ = json.Unmarshal(t.Payload, &said) // what cannot be read is refused in its turn
	c := credentials{assertion: assertion, readings: []reading{{id: said.Subject}}}
	if formID != "" {
		c.readings = append(c.readings, reading{id: formID})
	}
	return c, nil
}

// assert returns the client that has signed an assertion, and the record of the
// assertion's use. What can be refused without a key is refused without asking
// for one.
func (e *Endpoint) assert(r *http.Request, given credentials) (*Client, *revocation.Record, *refusal) {
	t, err := keys.Unverified(given.assertion)
	if err != nil {
		return nil, nil, invalidClient(false)
	}
	now := e.now()
	said, why := readClaims(t)
	if why == "" {
		why = said.wrong(now, e.audiences(r))
	}
	if why == "" && len(named(given.readings, said.Subject)) < len(given.readings) {
		why = "client_id is not that of the assertion"
	}
	if why != "" {
		refused := invalidClient(false)
		refused.description += ": " + why
		return nil, nil, refused
	}
	client := e.clients.byID[said.Subject]
	switch err := client.signed(r.Context(), given.assertion, t.Alg); {
	case errors.Is(err, keys.ErrUnavailable):
		return nil, nil, undecided(fmt.Errorf("client %s: %w", client.ID, err))
	case err != nil:
		return nil, nil, invalidClient(false)
	}
	// It is remembered for as long as it would be accepted, and as it may take to
	// commit what was accepted at the last moment.
	end := time.Unix(int64(*said.Expires), 0).Add(time.Second + clockLeeway + usingTime)
	return client, &revocation.Record{Key: revocation.UsedKey(client.ID, said.ID), Revoked: now, Expires: end, By: client.ID}, nil
}

// readClaims reads the claims of an assertion, or says why they are not to be
// read.
func readClaims(t keys.Token) (c claims, why string) {
	switch typ := strings.ToLower(t.Typ); {
	case typ != "" && typ != "jwt" && typ != "client-authentication+jwt":
		return claims{}, "the typ of the assertion is not JWT or client-authentication+jwt"
	case t.Foreign:
		return claims{}, "the assertion has jwk, jku or x5u"
	}
	// This decoder refuses names that stand twice, or in another case.
	if json.Unmarshal(t.Payload, &c) != nil {
		return claims{}, "the claims of the assertion cannot be read"
	}
	return c, ""
}

// wrong says what is wrong with the claims of an assertion, if anything.
func (c *claims) wrong(now time.Time, audiences []string) string {
	seconds := func(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
	early, late := seconds(now.Add(-clockLeeway)), seconds(now.Add(clockLeeway))
	switch {
	case c.Issuer == "" || c.Issuer != c.Subject:
		return "iss and sub of the assertion must be the client_id"
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(audiences, a) }):
		return "the assertion has no aud that is accepted here"
	case c.Expires == nil:
		return "the assertion has no exp"
	case *c.Expires <= early:
		return "the assertion has expired"
	case *c.Expires > late+maxAhead.Seconds():
		return fmt.Sprintf("the assertion ends more than %s ahead", maxAhead)
	case c.NotBefore != nil && *c.NotBefore > late, c.IssuedAt != nil && *c.IssuedAt > late:
		return "the nbf or iat of the assertion is in the future"
	case c.ID == "" || len(c.ID) > maxJTI:
		return fmt.Sprintf("the assertion needs a jti of at most %d bytes", maxJTI)
	}
	return ""
}

// signed checks that an assertion is the client's. For a client that does not
// exist, or may not do this, it takes about as long.
func (c *Client) signed(ctx context.Context, assertion, alg string) error {
	var err error
	switch symmetric := slices.Contains(keys.Symmetric, alg); {
	case symmetric && c != nil && c.allows(ClientSecretJWT):
		_, err = keys.VerifyHMAC(assertion, c.Algorithms, c.Secret.plain)
	case !symmetric && c != nil && c.allows(PrivateKeyJWT):
		_, err = keys.Verify(ctx, assertion, c.Algorithms, c.Keys)
	default:
		_, _ = keys.Verify(ctx, assertion, keys.Asymmetric, decoyKeys())
		return keys.ErrForged
	}
	return err
}

// algorithms are those with which the client may sign assertions.
func (c *Client) algorithms() ([]string, error) {
	var possible []string
	if c.allows(PrivateKeyJWT) {
		possible = append(possible, keys.Asymmetric...)
	}
	if c.allows(ClientSecretJWT) {
		for _, alg := range keys.Symmetric {
			if len(c.Secret.plain) >= hashSize[alg] {
				possible = append(possible, alg)
			}
		}
		if !slices.ContainsFunc(possible, isSymmetric) {
			return nil, fmt.Errorf("auth %s needs a secret of at least %d bytes (RFC 7518 §3.2)", ClientSecretJWT, hashSize["HS256"])
		}
	}
	if len(c.Algorithms) == 0 {
		return possible, nil
	}
	for _, alg := range c.Algorithms {
		switch {
		case slices.Contains(possible, alg):
		case c.allows(ClientSecretJWT) && isSymmetric(alg):
			return nil, fmt.Errorf("algorithm %s needs a secret of at least %d bytes (RFC 7518 §3.2)", alg, hashSize[alg])
		default:
			return nil, fmt.Errorf("algorithm %q is not one of a method of this client", alg)
		}
	}
	return c.Algorithms, nil
}

// hashSize is the least length of a secret for each algorithm, in bytes.
var hashSize = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

func isSymmetric(alg string) bool { return hashSize[alg] > 0 }
