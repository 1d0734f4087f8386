package endpoint

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// attributeTypes are the names of attribute types: those of RFC 4514 §3, and
// others that are in use, such as in the certificates of banks.
var attributeTypes = map[string]string{
	"CN": "2.5.4.3", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11", "C": "2.5.4.6", "STREET": "2.5.4.9",
	"DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1",

	"COMMONNAME": "2.5.4.3", "SURNAME": "2.5.4.4", "SN": "2.5.4.4", "SERIALNUMBER": "2.5.4.5", "COUNTRYNAME": "2.5.4.6",
	"LOCALITYNAME": "2.5.4.7", "S": "2.5.4.8", "STATEORPROVINCENAME": "2.5.4.8", "STREETADDRESS": "2.5.4.9",
	"ORGANIZATIONNAME": "2.5.4.10", "ORGANIZATIONALUNITNAME": "2.5.4.11", "TITLE": "2.5.4.12", "T": "2.5.4.12",
	"DESCRIPTION": "2.5.4.13", "BUSINESSCATEGORY": "2.5.4.15", "POSTALCODE": "2.5.4.17", "NAME": "2.5.4.41",
	"GIVENNAME": "2.5.4.42", "GN": "2.5.4.42", "INITIALS": "2.5.4.43", "GENERATIONQUALIFIER": "2.5.4.44",
	"DNQUALIFIER": "2.5.4.46", "DNQ": "2.5.4.46", "PSEUDONYM": "2.5.4.65", "ORGANIZATIONIDENTIFIER": "2.5.4.97",
	"EMAILADDRESS": "1.2.840.113549.1.9.1", "EMAIL": "1.2.840.113549.1.9.1", "E": "1.2.840.113549.1.9.1",
	"DOMAINCOMPONENT": "0.9.2342.19200300.100.1.25", "USERID": "0.9.2342.19200300.100.1.1",
	"JURISDICTIONL": "1.3.6.1.4.1.311.60.2.1.1", "JURISDICTIONLOCALITYNAME": "1.3.6.1.4.1.311.60.2.1.1",
	"JURISDICTIONST": "1.3.6.1.4.1.311.60.2.1.2", "JURISDICTIONSTATEORPROVINCENAME": "1.3.6.1.4.1.311.60.2.1.2",
	"JURISDICTIONC": "1.3.6.1.4.1.311.60.2.1.3", "JURISDICTIONCOUNTRYNAME": "1.3.6.1.4.1.311.60.2.1.3",
}

var oidSyntax = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]*))+$`)

// matchDN knows the certificates whose subject is a distinguished name. Names
// are compared part by part with the values that the certificate has, and not as
// texts, of which one name has many.
func matchDN(text string) (func(*x509.Certificate) bool, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("the distinguished name is not UTF-8")
	}
	want, err := ldap.ParseDN(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a distinguished name as in RFC 4514: %w", text, err)
	}
	if len(want.RDNs) == 0 {
		return nil, errors.New("the distinguished name is empty")
	}
	for _, part := range want.RDNs {
		for _, a := range part.Attributes {
			if a.Type, err = attributeOID(a.Type); err != nil {
				return nil, err
			}
			if !utf8.ValidString(a.Value) {
				return nil, fmt.Errorf("%q has a value that is not UTF-8", text)
			}
			a.Value = singleSpaced(a.Value)
		}
	}
	return func(c *x509.Certificate) bool {
		got, err := subjectDN(c)
		return err == nil && got.EqualFold(want)
	}, nil
}

func attributeOID(name string) (string, error) {
	name = strings.ToUpper(name)
	if oid, ok := attributeTypes[name]; ok {
		return oid, nil
	}
	if oid := strings.TrimPrefix(name, "OID."); oidSyntax.MatchString(oid) {
		return oid, nil
	}
	return "", fmt.Errorf("%q is not an attribute type of distinguished names that is known here: use its object identifier, such as 2.5.4.97", name)
}

// subjectDN is the subject of a certificate, the most special part first, as in
// RFC 4514 §2.1.
func subjectDN(c *x509.Certificate) (*ldap.DN, error) {
	var subject pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RawSubject, &subject); err != nil || len(rest) > 0 {
		return nil, errors.New("the subject cannot be read")
	}
	dn := &ldap.DN{}
	for _, part := range slices.Backward(subject) {
		rdn := &ldap.RelativeDN{}
		for _, a := range part {
			value, ok := a.Value.(string)
			if !ok {
				return nil, errors.New("the subject has a value that is not a text")
			}
			rdn.Attributes = append(rdn.Attributes, &ldap.AttributeTypeAndValue{Type: a.Type.String(), Value: singleSpaced(value)})
		}
		dn.RDNs = append(dn.RDNs, rdn)
	}
	return dn, nil
}

// singleSpaced is a text in which spaces are single, and none stands around it:
// others mean nothing (RFC 5280 §7.1, RFC 4518 §2.6.1).
func singleSpaced(s string) string { return strings.Join(strings.Fields(s), " ") }
