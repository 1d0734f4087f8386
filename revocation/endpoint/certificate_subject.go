package endpoint

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CertificateSubject says how a client's certificates are known (RFC 8705
// §2.1.2), in one way.
type CertificateSubject struct {
	// DN is the distinguished name of the subject, as RFC 4514 writes it:
	// "CN=client,O=Example". The order of its parts matters; the case of letters
	// does not, nor how attribute types and special characters are written.
	DN string
	// DNS is a dNSName among the subject alternative names, in any case.
	DNS string
	// URI is a uniformResourceIdentifier among them.
	URI string
	// IP is an iPAddress among them, in any form.
	IP string
	// Email is an rfc822Name among them; the case of the domain does not matter.
	Email string
}

// matcher returns what knows the subject's certificates, or nil for an empty
// subject.
func (s CertificateSubject) matcher() (func(*x509.Certificate) bool, error) {
	given := slices.DeleteFunc([]string{s.DN, s.DNS, s.URI, s.IP, s.Email}, func(v string) bool { return v == "" })
	if len(given) > 1 {
		return nil, errors.New("a certificate has one subject: its DN, or a DNS name, URI, IP address or email address (RFC 8705 §2.1.2)")
	}
	switch {
	case s.DN != "":
		return matchDN(s.DN)
	case s.DNS != "":
		return func(c *x509.Certificate) bool {
			return slices.ContainsFunc(c.DNSNames, func(name string) bool { return strings.EqualFold(name, s.DNS) })
		}, nil
	case s.URI != "":
		if u, err := url.Parse(s.URI); err != nil || !u.IsAbs() {
			return nil, fmt.Errorf("%q is not an absolute URI", s.URI)
		}
		return func(c *x509.Certificate) bool { return slices.Contains(uris(c), s.URI) }, nil
	case s.IP != "":
		ip, err := netip.ParseAddr(s.IP)
		if err != nil || ip.Zone() != "" {
			return nil, fmt.Errorf("%q is not an IP address", s.IP)
		}
		return func(c *x509.Certificate) bool {
			for _, b := range c.IPAddresses {
				if other, ok := netip.AddrFromSlice(b); ok && other.Unmap() == ip.Unmap() {
					return true
				}
			}
			return false
		}, nil
	case s.Email != "":
		local, domain, ok := cutEmail(s.Email)
		if !ok {
			return nil, fmt.Errorf("%q is not an email address", s.Email)
		}
		return func(c *x509.Certificate) bool {
			return slices.ContainsFunc(c.EmailAddresses, func(other string) bool {
				l, d, ok := cutEmail(other)
				return ok && l == local && strings.EqualFold(d, domain)
			})
		}, nil
	}
	return nil, nil
}

// uris are the URIs among the subject alternative names, as they stand there;
// those that crypto/x509 has read are written in another way than they were.
func uris(c *x509.Certificate) (list []string) {
	const uniformResourceIdentifier = 6 // RFC 5280 §4.2.1.6
	for _, extension := range c.Extensions {
		var names []asn1.RawValue
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		if rest, err := asn1.Unmarshal(extension.Value, &names); err != nil || len(rest) > 0 {
			continue
		}
		for _, name := range names {
			if name.Class == asn1.ClassContextSpecific && name.Tag == uniformResourceIdentifier {
				list = append(list, string(name.Bytes))
			}
		}
	}
	return list
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

func cutEmail(s string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || i == len(s)-1 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
