package endpoint

import (
	"net/http"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// admit returns the client that asks, if neither it nor the address from which
// it asks has asked too often. An address that failed too often is turned away
// before a secret is compared: what it would have given is not told.
func (e *Endpoint) admit(r *http.Request, form parameters) (client *Client, proof *revocation.Record, refused *refusal) {
	address, now := e.address(r), e.now()
	if wait := e.limits.slowed(address, now); wait > 0 {
		return nil, nil, tooMany(LimitFailures, "too many failed authentications", wait)
	}
	given, wrong := e.manner.credentials(r.Header["Authorization"], form)
	if client = e.stranger(given, wrong, form); client == nil {
		if wrong != nil {
			return nil, nil, wrong
		}
		if client, proof, refused = e.authenticate(r, given); refused != nil {
			return nil, nil, refused
		}
	}
	if wait := e.limits.admit(client, e.rate, address, now); wait > 0 {
		return nil, nil, tooMany(LimitRate, "too many revocations", wait)
	}
	return client, proof, nil
}
