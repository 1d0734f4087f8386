package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

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
//			first
//		}
//		stream <name>
//		prefix <subject>
//		domain <name>
//		replicas <number>
//		max_bytes <size>
//		grace <duration>
//		monitor <url>...
//	}
func (n *NATSCluster) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next() // the name of the module
	if n.Servers, err = urls(d, serverSchemes); err != nil {
		return err
	}
	if err := options(d, n.unmarshalOption); err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// urls are arguments, of which those without placeholders are URLs.
func urls(d *caddyfile.Dispenser, schemes []string) ([]string, error) {
	option := d.Val()
	list, err := some(d)
	if err != nil {
		return nil, err
	}
	for i, text := range list {
		if strings.Contains(text, "{") {
			continue
		}
		if _, err := serverURL(text, schemes); err != nil {
			return nil, d.Errf("%s: argument %d: %v", option, i+1, err)
		}
	}
	return list, nil
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
	case "monitor":
		n.Monitor, err = urls(d, monitorSchemes)
	default:
		err = d.Errf("cluster nats has no option %q", option)
	}
	return err
}
