package caddymodule

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/nats-io/nats.go"
)

// NATSTLS is how a connection to NATS is secured. Placeholders are allowed.
type NATSTLS struct {
	// The path of a file with the certificates that are trusted, in PEM. Default:
	// the system's.
	CAFile string `json:"ca_file,omitempty"`
	// The paths of this node's own certificate and key, in PEM. They are read
	// again for each connection. Default: none.
	CertificateFile string `json:"certificate_file,omitempty"`
	KeyFile         string `json:"key_file,omitempty"`
	// The name that the servers' certificates must have. Default: that in their URL.
	ServerName string `json:"server_name,omitempty"`
	// Whether TLS begins before the server says anything, as servers with
	// `handshake_first` want it. Default: false.
	First bool `json:"first,omitempty"`
}

// options have the files read again for each connection, as they may be renewed.
func (t *NATSTLS) options(trusted *tls.Config) []nats.Option {
	list := []nats.Option{nats.Secure(trusted)}
	if t.CAFile != "" {
		list = append(list, nats.RootCAs(t.CAFile))
	}
	if t.CertificateFile != "" {
		list = append(list, nats.ClientCert(t.CertificateFile, t.KeyFile))
	}
	if t.First {
		list = append(list, nats.TLSHandshakeFirst())
	}
	return list
}

// resolved is with the placeholders replaced.
func (t NATSTLS) resolved() (*NATSTLS, error) {
	for name, value := range map[string]*string{
		"ca_file": &t.CAFile, "certificate_file": &t.CertificateFile, "key_file": &t.KeyFile, "server_name": &t.ServerName,
	} {
		resolved, err := resolve(name, *value)
		if err != nil {
			return nil, err
		}
		if *value != "" && resolved == "" {
			return nil, fmt.Errorf("%s: the placeholder is empty", name)
		}
		*value = resolved
	}
	return &t, nil
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
	if t.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertificateFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (t *NATSTLS) unmarshalOption(d *caddyfile.Dispenser) (err error) {
	switch option := d.Val(); option {
	case "ca":
		t.CAFile, err = one(d)
	case "certificate":
		err = two(d, &t.CertificateFile, &t.KeyFile)
	case "server_name":
		t.ServerName, err = one(d)
	case "first":
		if t.First = true; d.NextArg() {
			err = d.Errf("unexpected %q after first", d.Val())
		}
	default:
		err = d.Errf("tls has no option %q", option)
	}
	return err
}
