package caddymodule

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
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

	// How many bytes the stream may take, if it has to be made; revocations that
	// do not fit are answered with status 503. Default: no limit but the account's.
	MaxBytes int64 `json:"max_bytes,omitempty"`

	// How long beyond its end the stream keeps a record, for nodes whose clocks are
	// behind. Default: 1h.
	Grace caddy.Duration `json:"grace,omitempty"`

	config natscluster.Config
	id     string
}

// NATSTLS is how a connection to NATS is secured.
type NATSTLS struct {
	// The path of a file with the certificates that are trusted, in PEM. Default:
	// the system's.
	CAFile string `json:"ca_file,omitempty"`
	// The paths of this node's own certificate and key, in PEM. Default: none.
	CertificateFile string `json:"certificate_file,omitempty"`
	KeyFile         string `json:"key_file,omitempty"`
	// The name that the servers' certificates must have. Default: that in their URL.
	ServerName string `json:"server_name,omitempty"`
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
	servers, err := own.servers()
	if err != nil {
		return err
	}
	options, err := own.options()
	if err != nil {
		return err
	}
	if n.Replicas < 0 || n.Replicas > 5 {
		return fmt.Errorf("replicas: %d is not possible; 1 to 5 are", n.Replicas)
	}
	if n.MaxBytes < 0 || n.Grace < 0 {
		return errors.New("max_bytes and grace must not be negative")
	}
	for name, value := range map[string]string{"stream": own.Stream, "prefix": own.Prefix} {
		if strings.ContainsAny(value, " \t\r\n*>/\\") || name == "stream" && strings.Contains(value, ".") {
			return fmt.Errorf("%s: %q is not a name that NATS allows", name, value)
		}
	}
	n.config = natscluster.Config{
		URLs: servers, Options: options, Stream: own.Stream, Prefix: own.Prefix, Domain: own.Domain,
		Replicas: n.Replicas, MaxBytes: n.MaxBytes, Grace: time.Duration(n.Grace),
	}
	own.Servers = servers
	text, err := json.Marshal(&own)
	n.id = fmt.Sprintf("nats %x", sha256.Sum256(text))
	return err
}

func (n *NATSCluster) servers() (list []string, err error) {
	if len(n.Servers) == 0 {
		return nil, errors.New("servers: at least one is needed")
	}
	for _, server := range n.Servers {
		server, err := resolve("servers", server)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" {
			return nil, errors.New("servers: one is not a URL, such as nats://nats1:4222") // it may hold a password
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return nil, fmt.Errorf("servers: %s:// is nothing that NATS speaks", u.Scheme)
		}
		list = append(list, server)
	}
	return list, nil
}

// options are credentials and TLS.
func (n *NATSCluster) options() (list []nats.Option, err error) {
	kinds := 0
	add := func(given bool, option func() (nats.Option, error)) {
		if !given || err != nil {
			return
		}
		kinds++
		var o nats.Option
		if o, err = option(); err == nil {
			list = append(list, o)
		}
	}
	add(n.User != "" || n.Password != "", func() (nats.Option, error) { return nats.UserInfo(n.User, n.Password), nil })
	add(n.Token != "", func() (nats.Option, error) { return nats.Token(n.Token), nil })
	add(n.NKeyFile != "", func() (nats.Option, error) {
		o, err := nats.NkeyOptionFromSeed(n.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nkey_file: %s holds no seed that can be read", n.NKeyFile)
		}
		return o, nil
	})
	add(n.CredentialsFile != "", func() (nats.Option, error) {
		if _, err := os.Stat(n.CredentialsFile); err != nil {
			return nil, fmt.Errorf("credentials_file: %w", err)
		}
		return nats.UserCredentials(n.CredentialsFile), nil
	})
	if err != nil {
		return nil, err
	}
	if kinds > 1 {
		return nil, errors.New("user, token, nkey_file and credentials_file exclude each other")
	}
	if n.TLS == nil {
		return list, nil
	}
	config, err := n.TLS.config()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return append(list, nats.Secure(config)), nil
}

func (t *NATSTLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", t.CAFile)
		}
	}
	if (t.CertificateFile == "") != (t.KeyFile == "") {
		return nil, errors.New("a certificate needs its key, and a key its certificate")
	}
	if t.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertificateFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Resource tells clusters apart.
func (n *NATSCluster) Resource() string { return n.id }

// Open begins to connect.
func (n *NATSCluster) Open() (cluster.Engine, error) { return natscluster.Open(n.config) }

// UnmarshalCaddyfile sets the cluster up from its part of the global option:
//
//	cluster nats <url>... {
//		user <user> <password>
//		token <token>
//		nkey <file>
//		credentials <file>
//		tls {
//			ca <file>
//			certificate <file> <key file>
//			server_name <name>
//		}
//		stream <name>
//		prefix <subject>
//		domain <name>
//		replicas <number>
//		max_bytes <size>
//		grace <duration>
//	}
func (n *NATSCluster) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next() // the name of the module
	if n.Servers, err = some(d); err != nil {
		return err
	}
	return options(d, n.unmarshalOption)
}

func (n *NATSCluster) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "user":
		err = two(d, &n.User, &n.Password)
	case "token":
		n.Token, err = one(d)
	case "nkey":
		n.NKeyFile, err = one(d)
	case "credentials":
		n.CredentialsFile, err = one(d)
	case "tls":
		n.TLS = new(NATSTLS)
		err = options(d, n.TLS.unmarshalOption)
	case "stream":
		n.Stream, err = one(d)
	case "prefix":
		n.Prefix, err = one(d)
	case "domain":
		n.Domain, err = one(d)
	case "replicas":
		var text string
		if text, err = one(d); err == nil {
			if n.Replicas, err = atLeastOne(text); err != nil {
				err = d.WrapErr(err)
			}
		}
	case "max_bytes":
		n.MaxBytes, err = size(d)
	case "grace":
		n.Grace, err = positive(d)
	default:
		err = d.Errf("cluster nats has no option %q", option)
	}
	return err
}

func (t *NATSTLS) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "ca":
		t.CAFile, err = one(d)
	case "certificate":
		err = two(d, &t.CertificateFile, &t.KeyFile)
	case "server_name":
		t.ServerName, err = one(d)
	default:
		err = d.Errf("tls has no option %q", option)
	}
	return err
}

var (
	_ ClusterModule         = (*NATSCluster)(nil)
	_ caddy.Provisioner     = (*NATSCluster)(nil)
	_ caddyfile.Unmarshaler = (*NATSCluster)(nil)
)
