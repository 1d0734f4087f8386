package endpoint

import "slices"

// Metadata is what an authorization server's metadata should say about an
// endpoint beside its URL (RFC 8414 §2).
type Metadata struct {
	// AuthMethods are those that some client may use.
	AuthMethods []Method `json:"revocation_endpoint_auth_methods_supported"`
	// SigningAlgs are those with which some client may sign assertions.
	SigningAlgs []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
}

// Metadata describes the endpoint as its clients can use it.
func (e *Endpoint) Metadata() Metadata {
	m := Metadata{AuthMethods: []Method{}}
	for _, client := range e.clients.byID {
		m.AuthMethods = append(m.AuthMethods, client.Methods...)
		if client.allows(PrivateKeyJWT) || client.allows(ClientSecretJWT) {
			m.SigningAlgs = append(m.SigningAlgs, client.Algorithms...)
		}
	}
	slices.Sort(m.AuthMethods)
	m.AuthMethods = slices.Compact(m.AuthMethods)
	slices.Sort(m.SigningAlgs)
	m.SigningAlgs = slices.Compact(m.SigningAlgs)
	return m
}
