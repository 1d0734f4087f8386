package endpoint

import (
	"slices"
	"strings"
	"testing"
)

// What a client has decides how it may authenticate, unless it is said.
func TestClientMethods(t *testing.T) {
	secret, short, hashed := must(PlainSecret(longSecret)), must(PlainSecret("short")), must(HashedSecret(bcryptHash))
	some := publicKeys(t, "P-256")
	subject := CertificateSubject{DN: "CN=client"}
	for _, test := range []struct {
		name   string
		client Client
		want   []Method
	}{
		{"nothing", Client{}, []Method{None}},
		{"a secret", Client{Secret: short}, []Method{ClientSecretBasic, ClientSecretPost}},
		{"a hashed secret", Client{Secret: hashed}, []Method{ClientSecretBasic, ClientSecretPost}},
		{"keys", Client{Keys: some}, []Method{PrivateKeyJWT}},
		{"a subject", Client{Certificate: subject}, []Method{TLSClientAuth}},
		{"all", Client{Secret: secret, Keys: some, Certificate: subject, Methods: []Method{ClientSecretBasic, ClientSecretPost, ClientSecretJWT, PrivateKeyJWT, TLSClientAuth, SelfSignedTLSClientAuth}}, nil},
		{"self-signed", Client{Keys: some, Methods: []Method{SelfSignedTLSClientAuth}}, nil},
		{"one algorithm", Client{Keys: some, Algorithms: []string{"Ed25519"}}, []Method{PrivateKeyJWT}},
	} {
		test.client.ID = "id"
		for range 2 { // it can be validated again
			if err := test.client.Validate(); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if test.want != nil && !slices.Equal(test.client.Methods, test.want) {
			t.Errorf("%s: %v", test.name, test.client.Methods)
		}
	}
	for want, client := range map[string]Client{
		"client_secret_basic needs a secret":                          {Methods: []Method{ClientSecretBasic}},
		"client_secret_jwt needs a secret":                            {Methods: []Method{ClientSecretJWT}, Keys: some},
		"client_secret_jwt needs the secret itself":                   {Methods: []Method{ClientSecretJWT}, Secret: hashed},
		"client_secret_jwt needs a secret of at least 32":             {Methods: []Method{ClientSecretJWT}, Secret: short},
		"HS512 needs a secret of at least 64":                         {Methods: []Method{ClientSecretJWT}, Secret: must(PlainSecret(longSecret[:63])), Algorithms: []string{"HS512"}},
		"private_key_jwt needs the client's keys":                     {Methods: []Method{PrivateKeyJWT}, Secret: secret},
		"tls_client_auth needs the subject":                           {Methods: []Method{TLSClientAuth}, Keys: some},
		"self_signed_tls_client_auth needs the client's certificates": {Methods: []Method{SelfSignedTLSClientAuth}},
		"none does not go with a secret":                              {Methods: []Method{None}, Secret: secret},
		"none does not go with another":                               {Methods: []Method{None, PrivateKeyJWT}, Keys: some},
		"the client's keys are of no use":                             {Secret: secret, Keys: some},
		"a secret is of no use without auth client_secret_basic, client_secret_post or client_secret_jwt": {Methods: []Method{PrivateKeyJWT}, Secret: secret, Keys: some},
		"a certificate subject is of no use":  {Keys: some, Certificate: subject},
		"a choice of algorithms is of no use": {Secret: secret, Algorithms: []string{"HS256"}},
		`algorithm "HS256"`:                   {Keys: some, Algorithms: []string{"ES256", "HS256"}},
		`algorithm "RS256"`:                   {Methods: []Method{ClientSecretJWT}, Secret: secret, Algorithms: []string{"RS256"}},
		`algorithm "none"`:                    {Keys: some, Algorithms: []string{"none"}},
		`algorithm ""`:                        {Keys: some, Algorithms: []string{""}},
		"bearer is not supported":             {Methods: []Method{"bearer"}},
		"a certificate has one subject":       {Certificate: CertificateSubject{DN: "CN=a", DNS: "a"}},
		"not an IP address":                   {Certificate: CertificateSubject{IP: "host"}},
	} {
		client.ID = "id"
		if err := client.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A secret serves for the algorithms that it is long enough for.
func TestClientSecretAlgorithms(t *testing.T) {
	for size, want := range map[int]int{32: 1, 47: 1, 48: 2, 63: 2, 64: 3} {
		c := Client{ID: "id", Methods: []Method{ClientSecretJWT}, Secret: must(PlainSecret(longSecret[:size]))}
		if err := c.Validate(); err != nil || len(c.Algorithms) != want {
			t.Errorf("%d bytes: %v %v", size, c.Algorithms, err)
		}
	}
}
