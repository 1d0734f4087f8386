package endpoint

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// certificate is that of the client at the other end of a connection.
type certificate struct {
	*x509.Certificate // nil if there is none, or none that is valid now
	// trusted says that the server has found a chain from it to an authority that
	// it trusts.
	trusted bool
}

// shown is the certificate that a client has proved to own in the handshake. A
// header field that holds one proves nothing, and is not looked at.
func shown(r *http.Request, now time.Time) certificate {
	if r.TLS == nil || !r.TLS.HandshakeComplete || len(r.TLS.PeerCertificates) == 0 {
		return certificate{}
	}
	leaf := r.TLS.PeerCertificates[0]
	// A handshake may be long ago, and does not look at one that nobody vouches for.
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return certificate{}
	}
	return certificate{Certificate: leaf, trusted: len(r.TLS.VerifiedChains) > 0}
}

// certified returns the client if a certificate is its own, or else nil: one that
// an authority gave to its subject (RFC 8705 §2.1), or one that is registered
// with its keys. Of the latter the whole certificate has to be the same, as §2.2
// has it: a key that is registered to sign assertions makes no certificate.
func (c *Client) certified(ctx context.Context, shown certificate) (*Client, error) {
	if shown.Certificate == nil {
		return nil, nil
	}
	if c.allows(TLSClientAuth) && shown.trusted && c.hasSubject(shown.Certificate) {
		return c, nil
	}
	if c.allows(SelfSignedTLSClientAuth) {
		switch held, err := c.Keys.(keys.Certificates).Holds(ctx, shown.Certificate); {
		case err != nil:
			return nil, fmt.Errorf("client %s: %w", c.ID, err)
		case held:
			return c, nil
		}
	}
	return nil, nil
}
