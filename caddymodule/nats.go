package caddymodule

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/nats-io/nats.go"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/cluster"
	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/natscluster"
)

func init() { caddy.RegisterModule(new(NATSCluster)) }

// NATSCluster shares the denylist through a stream of NATS JetStream (NATS 2.11
// or later), which is made if it is not there.
type NATSCluster struct {
	// The servers, such as `nats://nats1:4222` or `tls://nats1:4222`; one is
	// enough, the others are learned from it. Placeholders are allowed.
	Servers []string `json:"servers,omitempty"`

	// Credentials, of which at most one kind may be given. Placeholders are
	// allowed and keep secrets out of the configuration.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
	// The path of a file with the seed of an NKey.
	NKeyFile string `json:"nkey_file,omitempty"`
	// The path of a credentials file, with a user's JWT and seed.
	CredentialsFile string `json:"credentials_file,omitempty"`

	// How the servers prove who they are, and this node to them. Default: with
	// `tls://` the system's roots, else no TLS.
	TLS *NATSTLS `json:"tls,omitempty"`

	// The name of the stream. Gateways that name the same share a denylist.
	// Default: `TOKEN_REVOCATION`.
	Stream string `json:"stream,omitempty"`

	// The first part of the subjects of the stream. Default: `token_revocation`.
	Prefix string `json:"prefix,omitempty"`

	// The JetStream domain of the stream, for a server that is a leaf node.
	// Default: that of the server.
	Domain string `json:"domain,omitempty"`

	// How many servers keep a copy of the stream, if it has to be made. Default: 1.
	Replicas int `json:"replicas,omitempty"`

	// How many bytes the stream may take, if it has to be made. When nine tenths are
	// taken, revocations are answered with status 503; the rest is for heartbeats,
	// 10 KB for each node. Default: no limit but the account's.
	MaxBytes int64 `json:"max_bytes,omitempty"`

	// How long beyond its end, and the app's leeway, the stream keeps a record, for
	// nodes whose clocks are behind. Default: 1h.
	Grace caddy.Duration `json:"grace,omitempty"`

	// The servers' monitoring endpoints, such as `http://nats1:8222`. Only there can
	// be seen whether `sync_interval` lets them lose what they have acknowledged,
	// which is warned about then. Placeholders are allowed. Default: none, and
	// that is not checked.
	Monitor []string `json:"monitor,omitempty"`

	config natscluster.Config
	id     string
}

// CaddyModule returns the Caddy module information.
func (*NATSCluster) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "token_revocation.clusters.nats",
		New: func() caddy.Module { return new(NATSCluster) },
	}
}

// Provision reads the configuration, and the files that it names. It connects to
// nothing.
func (n *NATSCluster) Provision(caddy.Context) error {
	if err := n.check(); err != nil {
		return err
	}
	own := *n
	for name, value := range map[string]*string{
		"user": &own.User, "password": &own.Password, "token": &own.Token, "nkey_file": &own.NKeyFile,
		"credentials_file": &own.CredentialsFile, "stream": &own.Stream, "prefix": &own.Prefix, "domain": &own.Domain,
	} {
		resolved, err := resolveSecret(*value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if *value != "" && resolved == "" {
			return fmt.Errorf("%s: the placeholder is empty", name)
		}
		*value = resolved
	}
	var err error
	if own.Servers, err = resolveURLs("servers", n.Servers, serverSchemes); err != nil {
		return err
	}
	if own.Monitor, err = resolveURLs("monitor", n.Monitor, monitorSchemes); err != nil {
		return err
	}
	var trusted *tls.Config
	if n.TLS != nil {
		if own.TLS, err = n.TLS.resolved(); err == nil {
			trusted, err = own.TLS.config()
		}
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	options, err := own.options(trusted)
	if err != nil {
		return err
	}
	n.config = natscluster.Config{
		URLs: own.Servers, Options: options, Stream: own.Stream, Prefix: own.Prefix, Domain: own.Domain,
		Replicas: n.Replicas, MaxBytes: n.MaxBytes, Grace: time.Duration(n.Grace),
		Monitor: own.Monitor, MonitorTLS: trusted,
	}
	if err := n.config.Check(); err != nil {
		return err
	}
	text, err := json.Marshal(&own)
	n.id = fmt.Sprintf("nats %x", sha256.Sum256(text))
	return err
}

// check finds what is wrong whatever the placeholders stand for.
func (n *NATSCluster) check() error {
	kinds := 0
	for _, given := range []string{n.User + n.Password, n.Token, n.NKeyFile, n.CredentialsFile} {
		if given != "" {
			kinds++
		}
	}
	switch {
	case len(n.Servers) == 0:
		return errors.New("servers: at least one is needed")
	case kinds > 1:
		return errors.New("user, token, nkey_file and credentials_file exclude each other")
	case (n.User == "") != (n.Password == ""):
		return errors.New("user and password belong together")
	case n.TLS != nil && (n.TLS.CertificateFile == "") != (n.TLS.KeyFile == ""):
		return errors.New("tls: certificate_file and key_file belong together")
	case n.Replicas < 0 || n.Replicas > 5:
		return fmt.Errorf("replicas: %d is not possible; 1 to 5 are", n.Replicas)
	case n.MaxBytes < 0:
		return errors.New("max_bytes must not be negative")
	case n.Grace < 0:
		return errors.New("grace must not be negative")
	}
	return nil
}

// The schemes of URLs, of which the first need not be written.
var (
	serverSchemes  = []string{"nats", "tls", "ws", "wss"}
	monitorSchemes = []string{"http", "https"}
)

func resolveURLs(field string, texts, schemes []string) (list []string, err error) {
	for i, text := range texts {
		if text, err = resolveSecret(text); err == nil {
			text, err = serverURL(text, schemes)
		}
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
		list = append(list, text)
	}
	return list, nil
}

// serverURL is a URL with its scheme. An error does not show it: it may hold a
// password.
func serverURL(text string, schemes []string) (string, error) {
	if !strings.Contains(text, "://") {
		text = schemes[0] + "://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("this is not a URL such as %s://nats1", schemes[0])
	}
	if !slices.Contains(schemes, u.Scheme) {
		return "", fmt.Errorf("%s:// is none of %s", u.Scheme, strings.Join(schemes, ", "))
	}
	return text, nil
}

// options are credentials and TLS.
func (n *NATSCluster) options(trusted *tls.Config) (list []nats.Option, err error) {
	switch {
	case n.User != "":
		list = append(list, nats.UserInfo(n.User, n.Password))
	case n.Token != "":
		list = append(list, nats.Token(n.Token))
	case n.NKeyFile != "":
		option, err := nats.NkeyOptionFromSeed(n.NKeyFile)
		if err != nil { // which may show what is in it
			return nil, fmt.Errorf("nkey_file: %s holds no seed that can be read", n.NKeyFile)
		}
		list = append(list, option)
	case n.CredentialsFile != "":
		if _, err := os.Stat(n.CredentialsFile); err != nil {
			return nil, fmt.Errorf("credentials_file: %w", err)
		}
		list = append(list, nats.UserCredentials(n.CredentialsFile))
	}
	if n.TLS != nil {
		list = append(list, n.TLS.options(trusted)...)
	}
	return list, nil
}

// Resource tells clusters apart.
func (n *NATSCluster) Resource() string { return n.id }

// Open begins to connect.
func (n *NATSCluster) Open(leeway time.Duration) (cluster.Engine, error) {
	c := n.config
	c.Leeway = leeway
	return natscluster.Open(c)
}

var (
	_ ClusterModule         = (*NATSCluster)(nil)
	_ caddy.Provisioner     = (*NATSCluster)(nil)
	_ caddyfile.Unmarshaler = (*NATSCluster)(nil)
)
