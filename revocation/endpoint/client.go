package endpoint

import (
	"crypto/x509"
	"errors"
	"fmt"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/keys"
)

// Method is how a client authenticates, by the name that the IANA registry of
// OAuth token endpoint authentication methods has for it.
type Method string

// The methods.
const (
	ClientSecretBasic       Method = "client_secret_basic"         // RFC 6749 §2.3.1
	ClientSecretPost        Method = "client_secret_post"          // RFC 6749 §2.3.1
	ClientSecretJWT         Method = "client_secret_jwt"           // OpenID Connect Core §9
	PrivateKeyJWT           Method = "private_key_jwt"             // OpenID Connect Core §9
	TLSClientAuth           Method = "tls_client_auth"             // RFC 8705 §2.1
	SelfSignedTLSClientAuth Method = "self_signed_tls_client_auth" // RFC 8705 §2.2
	None                    Method = "none"                        // a public client, RFC 6749 §2.1
)

// Client is somebody who may revoke tokens.
type Client struct {
	// ID is the client_id.
	ID string
	// Methods are those that the client may use. By default
	// client_secret_basic and client_secret_post with a secret; without one
	// private_key_jwt with keys; without them tls_client_auth with a certificate
	// subject; and otherwise none.
	Methods []Method
	// Secret is shared with the client, or nil.
	Secret *Secret
	// Keys are the client's public keys, which verify assertions, and with their
	// certificates self-signed ones; or nil.
	Keys keys.Set
	// Algorithms are those with which the client may sign assertions, by their
	// JOSE names; nil is all that its methods and secret allow. A key that names
	// its own is bound to that as well.
	Algorithms []string
	// Certificate says which certificates are the client's, for tls_client_auth.
	Certificate CertificateSubject
	// Origins are the web origins from which scripts of this client may call
	// the endpoint, as in the Origin header field: "https://app.example.com".
	Origins []string
	// MaxRecords is how many live records the client may have; 0 is
	// DefaultMaxRecords.
	MaxRecords int

	// stranger is a client that is not among those of the endpoint: ID is what it
	// says, or empty.
	stranger   bool
	hasSubject func(*x509.Certificate) bool // of Certificate; nil without one
}

// Validate sets the defaults and says what is wrong with the rest.
func (c *Client) Validate() error {
	if c.ID == "" {
		return errors.New("a client needs an id")
	}
	if len(c.ID) > maxID {
		return fmt.Errorf("an id of %d bytes: at most %d are possible", len(c.ID), maxID)
	}
	if c.MaxRecords < 0 {
		return fmt.Errorf("max records of %d are not possible", c.MaxRecords)
	}
	var err error
	if c.hasSubject, err = c.Certificate.matcher(); err != nil {
		return err
	}
	if len(c.Methods) == 0 {
		c.Methods = c.defaultMethods()
	}
	for _, m := range c.Methods {
		if err := c.supports(m); err != nil {
			return fmt.Errorf("auth %s %w", m, err)
		}
	}
	if err := c.useless(); err != nil {
		return err
	}
	if c.Algorithms, err = c.algorithms(); err != nil {
		return err
	}
	for _, origin := range c.Origins {
		if !isOrigin(origin) {
			return fmt.Errorf("%q is not an origin as browsers write it, such as https://app.example.com", origin)
		}
	}
	return nil
}

func (c *Client) defaultMethods() []Method {
	switch {
	case c.Secret != nil:
		return []Method{ClientSecretBasic, ClientSecretPost}
	case c.Keys != nil:
		return []Method{PrivateKeyJWT}
	case c.hasSubject != nil:
		return []Method{TLSClientAuth}
	}
	return []Method{None}
}

// supports says what a method lacks that is needed to check it.
func (c *Client) supports(m Method) error {
	switch m {
	case ClientSecretBasic, ClientSecretPost, ClientSecretJWT:
		if c.Secret == nil {
			return errors.New("needs a secret")
		}
		if m == ClientSecretJWT && c.Secret.plain == nil {
			return errors.New("needs the secret itself: a hash of it verifies no signature")
		}
	case PrivateKeyJWT:
		if c.Keys == nil {
			return errors.New("needs the client's keys (jwks)")
		}
	case TLSClientAuth:
		if c.hasSubject == nil {
			return errors.New("needs the subject of the client's certificate: its DN, or a DNS name, URI, IP address or email address")
		}
	case SelfSignedTLSClientAuth:
		if _, ok := c.Keys.(keys.Certificates); !ok {
			return errors.New("needs the client's certificates (jwks with x5c)")
		}
	case None:
		if c.Secret != nil {
			return errors.New("does not go with a secret")
		}
		if len(c.Methods) > 1 {
			return errors.New("does not go with another method: nobody would need that")
		}
	default:
		return errors.New("is not supported")
	}
	return nil
}

// useless says what no method of the client asks for.
func (c *Client) useless() error {
	for _, given := range []struct {
		what  string
		there bool
		by    []Method
	}{
		{"a secret is", c.Secret != nil, []Method{ClientSecretBasic, ClientSecretPost, ClientSecretJWT}},
		{"the client's keys are", c.Keys != nil, []Method{PrivateKeyJWT, SelfSignedTLSClientAuth}},
		{"a certificate subject is", c.hasSubject != nil, []Method{TLSClientAuth}},
		{"a choice of algorithms is", len(c.Algorithms) > 0, []Method{ClientSecretJWT, PrivateKeyJWT}},
	} {
		if given.there && !slices.ContainsFunc(given.by, c.allows) {
			return fmt.Errorf("%s of no use without auth %s", given.what, or(given.by))
		}
	}
	return nil
}

// or lists methods in English.
func or(list []Method) (s string) {
	for i, m := range list {
		switch {
		case i > 0 && i == len(list)-1:
			s += " or "
		case i > 0:
			s += ", "
		}
		s += string(m)
	}
	return s
}

var originSyntax = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?$`)

// isOrigin says whether a browser would ever send this as an origin: in small
// letters, without the port that goes without saying, and with nothing behind.
func isOrigin(s string) bool {
	return originSyntax.MatchString(s) &&
		!(strings.HasPrefix(s, "https://") && strings.HasSuffix(s, ":443")) &&
		!(strings.HasPrefix(s, "http://") && strings.HasSuffix(s, ":80"))
}

// public says whether the client has nothing that proves who it is.
func (c *Client) public() bool { return c.allows(None) }

func (c *Client) allows(m Method) bool { return slices.Contains(c.Methods, m) }

// maxID is the length of a client_id in bytes; it stands in every record.
const maxID = 256

// Clients is everybody who may revoke. It does not change once it is made.
type Clients struct {
	byID    map[string]*Client
	secrets []*Secret // of all clients that have one
	origins map[string]bool
	seed    maphash.Seed
}

// NewClients makes the set of the given clients.
func NewClients(list []Client) (*Clients, error) {
	c := &Clients{
		byID:    make(map[string]*Client, len(list)),
		origins: make(map[string]bool),
		seed:    maphash.MakeSeed(),
	}
	for _, client := range list {
		if err := client.Validate(); err != nil {
			return nil, fmt.Errorf("client %q: %w", client.ID, err)
		}
		if c.byID[client.ID] != nil {
			return nil, fmt.Errorf("client %s is there twice", client.ID)
		}
		c.byID[client.ID] = &client
		if client.Secret != nil {
			c.secrets = append(c.secrets, client.Secret)
		}
		for _, origin := range client.Origins {
			c.origins[origin] = true
		}
	}
	return c, nil
}

// only are the clients that may use one of some methods, with these alone.
func (c *Clients) only(methods ...Method) *Clients {
	left := *c
	left.byID = make(map[string]*Client, len(c.byID))
	for id, client := range c.byID {
		restricted := *client
		restricted.Methods = slices.DeleteFunc(slices.Clone(client.Methods), func(m Method) bool { return !slices.Contains(methods, m) })
		if len(restricted.Methods) > 0 {
			left.byID[id] = &restricted
		}
	}
	return &left
}

func (c *Clients) has(id string) bool { return c.byID[id] != nil }

// Len is how many clients there are.
func (c *Clients) Len() int { return len(c.byID) }

// decoy is the secret that an unknown client_id is compared with: one of the
// real ones, and always the same for the same id, so that the time an answer
// takes does not tell which ids exist, whatever mixture of secrets there is.
func (c *Clients) decoy(id string) *Secret {
	if len(c.secrets) == 0 {
		return nil
	}
	return c.secrets[maphash.String(c.seed, id)%uint64(len(c.secrets))]
}
