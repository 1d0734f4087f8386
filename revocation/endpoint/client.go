package endpoint

import (
	"errors"
	"fmt"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"
)

// Method is how a client authenticates, by the name that the IANA registry of
// OAuth token endpoint authentication methods has for it.
type Method string

// The methods that this version knows.
const (
	ClientSecretBasic Method = "client_secret_basic" // RFC 6749 §2.3.1
	ClientSecretPost  Method = "client_secret_post"  // RFC 6749 §2.3.1
	None              Method = "none"                // a public client, RFC 6749 §2.1
)

// Client is somebody who may revoke tokens.
type Client struct {
	// ID is the client_id.
	ID string
	// Methods are those that the client may use. By default
	// client_secret_basic and client_secret_post, or none without a secret.
	Methods []Method
	// Secret is nil for a public client.
	Secret *Secret
	// Origins are the web origins from which scripts of this client may call
	// the endpoint, as in the Origin header field: "https://app.example.com".
	Origins []string
	// MaxRecords is how many live records the client may have; 0 is
	// DefaultMaxRecords.
	MaxRecords int

	// stranger is a client that is not among those of the endpoint: ID is what it
	// says, or empty.
	stranger bool
}

// Validate sets the default and says what is wrong with the rest.
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
	if len(c.Methods) == 0 {
		c.Methods = []Method{None}
		if c.Secret != nil {
			c.Methods = []Method{ClientSecretBasic, ClientSecretPost}
		}
	}
	for _, m := range c.Methods {
		switch m {
		case ClientSecretBasic, ClientSecretPost:
			if c.Secret == nil {
				return fmt.Errorf("auth %s needs a secret", m)
			}
		case None:
			if c.Secret != nil {
				return fmt.Errorf("auth %s does not go with a secret", m)
			}
		default:
			return fmt.Errorf("auth %q is not supported", m)
		}
	}
	for _, origin := range c.Origins {
		if !isOrigin(origin) {
			return fmt.Errorf("%q is not an origin as browsers write it, such as https://app.example.com", origin)
		}
	}
	return nil
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
