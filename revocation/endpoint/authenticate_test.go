package endpoint

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// What Basic credentials may mean: form-encoded first, as the RFC has it.
func TestBasicReadings(t *testing.T) {
	for _, test := range []struct {
		value, formID string
		want          []reading
	}{
		{encode("id:secret"), "", []reading{{"id", "secret"}}},
		{base64.RawStdEncoding.EncodeToString([]byte("id:secretx")), "", []reading{{"id", "secretx"}}},
		{encode("id:"), "", []reading{{"id", ""}}},
		{encode("id"), "", []reading{{"id", ""}}},
		{encode("id:a:b"), "", []reading{{"id", "a:b"}}},
		{encode("id:a+b"), "", []reading{{"id", "a b"}, {"id", "a+b"}}},
		{encode("id:a%2Bb"), "", []reading{{"id", "a+b"}, {"id", "a%2Bb"}}},
		{encode("id:100%"), "", []reading{{"id", "100%"}}},
		{encode("i+d:100%"), "", []reading{{"i+d", "100%"}}},
		{encode("i%d:a+b"), "", []reading{{"i%d", "a+b"}}},
		{encode("i+d:a+b"), "", []reading{{"i d", "a b"}, {"i+d", "a+b"}}},
		{encode("https%3A%2F%2Fid:s"), "", []reading{{"https://id", "s"}, {"https%3A%2F%2Fid", "s"}, {"https:%2F%2Fid", "s"}}},
		{encode("id:a+b%3Ac"), "", []reading{{"id", "a b:c"}, {"id", "a+b%3Ac"}, {"id", "a+b:c"}}},
		{encode("id:100%%3Ac"), "", []reading{{"id", "100%%3Ac"}, {"id", "100%:c"}}},
		{encode("ïd:sécret"), "", []reading{{"ïd", "sécret"}}},
		{encode("\xff:\x00"), "", []reading{{"\xff", "\x00"}}},
		{encode("id:secret"), "id", []reading{{"id", "secret"}}},
		{encode("i+d:s"), "i d", []reading{{"i d", "s"}}},
		{encode("i+d:s"), "i+d", []reading{{"i+d", "s"}}},
	} {
		got, refused := presentBasic(test.value, test.formID)
		if refused != nil || got.method != ClientSecretBasic || !slices.Equal(got.readings, test.want) {
			t.Errorf("%s beside %q: %v %+v, want %v", test.value, test.formID, got, refused, test.want)
		}
	}
	for _, test := range []struct {
		value, formID string
		status        int
	}{
		{"", "", http.StatusUnauthorized},
		{"!", "", http.StatusUnauthorized},
		{encode(""), "", http.StatusUnauthorized},
		{encode(":secret"), "", http.StatusUnauthorized},
		{encode("id:secret") + "=", "", http.StatusUnauthorized},
		{encode("id:a") + " " + encode("id:b"), "", http.StatusUnauthorized},
		{encode("id:secret"), "other", http.StatusBadRequest},
		{encode("id:secret"), "ID", http.StatusBadRequest},
		{encode("i+d:secret"), "i%20d", http.StatusBadRequest},
		{encode(":secret"), "id", http.StatusUnauthorized},
	} {
		if got, refused := presentBasic(test.value, test.formID); refused == nil || refused.status != test.status {
			t.Errorf("%s beside %q: %v %+v, want %d", test.value, test.formID, got, refused, test.status)
		}
	}
}

// counted is a hashed secret that counts how often it is compared.
func counted(secret string, comparisons *int) *Secret {
	return newSecret(func(guess string) bool {
		*comparisons++
		return guess == secret
	})
}

func clients(t *testing.T, list ...Client) *Clients {
	t.Helper()
	c, err := NewClients(list)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authenticated(t *testing.T, c *Clients, authorization string, form parameters) *Client {
	t.Helper()
	given, refused := present([]string{authorization}, form)
	if refused != nil {
		t.Fatalf("%+v", refused)
	}
	client, err := c.authenticate(context.Background(), given, certificate{})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// An unknown client costs as many comparisons as a known one with a wrong
// secret, however its credentials are written.
func TestUnknownClientCostsTheSame(t *testing.T) {
	comparisons := 0
	c := clients(t,
		Client{ID: "known", Secret: counted("a+b%41", &comparisons)},
		Client{ID: "kn+own", Secret: counted("a+b%41", &comparisons)},
		Client{ID: "public"},
	)
	cost := func(id, secret string, form parameters) int {
		comparisons = 0
		if client := authenticated(t, c, "Basic "+encode(id+":"+secret), form); client != nil {
			t.Fatalf("%s with %q is %s", id, secret, client.ID)
		}
		return comparisons
	}
	for _, secret := range []string{"wrong", "wr+ong", "wr%41ng", "wrong%", "", strings.Repeat("x", 1000)} {
		for known, unknown := range map[string]string{"known": "nobody", "kn+own": "no+body", "k%6Eown": "n%6Fbody"} {
			a, b := cost(known, secret, nil), cost(unknown, secret, nil)
			if a != b || a == 0 && secret != "" {
				t.Errorf("%s with secret %q: %d comparisons, %s: %d", known, secret, a, unknown, b)
			}
			form := func(id string) parameters { return parameters{"client_id": id} }
			if a, b = cost(known, secret, form(known)), cost(unknown, secret, form(unknown)); a != b {
				t.Errorf("%s with secret %q and client_id: %d comparisons, %s: %d", known, secret, a, unknown, b)
			}
		}
		if secret == "" {
			continue // which is how a public client comes
		}
		if a, b := cost("public", secret, nil), cost("nobody", secret, nil); a != b {
			t.Errorf("public with secret %q: %d comparisons, nobody: %d", secret, a, b)
		}
	}
}

// The secret that an unknown client is compared with is one of the real ones,
// always the same for the same id, and not the same for all.
func TestDecoy(t *testing.T) {
	var list []Client
	for i := range 8 {
		secret, err := PlainSecret(fmt.Sprintf("secret %d", i))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Client{ID: fmt.Sprintf("client %d", i), Secret: secret})
	}
	c := clients(t, append(list, Client{ID: "public"})...)
	used := map[*Secret]bool{}
	for i := range 1000 {
		id := fmt.Sprintf("nobody %d", i)
		decoy := c.decoy(id)
		if decoy == nil || decoy != c.decoy(id) || !slices.Contains(c.secrets, decoy) {
			t.Fatalf("%s: %p", id, decoy)
		}
		used[decoy] = true
	}
	if len(used) != len(list) {
		t.Errorf("%d of %d secrets serve as decoys", len(used), len(list))
	}
	// Knowing a secret does not help a client that is not there.
	for i := range 100 {
		for _, secret := range []string{"secret 0", "secret 7"} {
			if client := authenticated(t, c, "Basic "+encode(fmt.Sprintf("nobody %d:%s", i, secret)), nil); client != nil {
				t.Errorf("nobody is %s", client.ID)
			}
		}
	}
	if decoy := clients(t, Client{ID: "public"}).decoy("nobody"); decoy != nil {
		t.Error("a decoy where there are no secrets")
	}
}

// A client that revokes a thousand times a second does not hash as often, in
// whichever way it writes a secret that can be read in two.
func TestHashOnce(t *testing.T) {
	for _, written := range []string{"a+b%41", "a%2Bb%2541"} { // raw, form-encoded
		comparisons := 0
		c := clients(t, Client{ID: "id", Secret: counted("a+b%41", &comparisons)})
		if authenticated(t, c, "Basic "+encode("id:"+written), nil) == nil {
			t.Fatalf("%s is not right", written)
		}
		first := comparisons
		for range 10 {
			if authenticated(t, c, "Basic "+encode("id:"+written), nil) == nil {
				t.Fatalf("%s is not right any more", written)
			}
		}
		if first == 0 || first > 2 || comparisons != first {
			t.Errorf("%s: %d comparisons first, %d later", written, first, comparisons-first)
		}
		if authenticated(t, c, "Basic "+encode("id:wrong"), nil) != nil || comparisons == first {
			t.Errorf("a wrong secret: %d comparisons", comparisons-first)
		}
	}
}

func TestPresent(t *testing.T) {
	form := func(pairs ...string) parameters {
		p := parameters{}
		for i := 0; i < len(pairs); i += 2 {
			p[pairs[i]] = pairs[i+1]
		}
		return p
	}
	basic := []string{"Basic " + encode("id:secret")}
	for _, test := range []struct {
		name   string
		header []string
		form   parameters
		method Method // or empty, and
		status int
		basic  bool
	}{
		{"nothing", nil, form(), "", 401, false},
		{"Basic", basic, form(), ClientSecretBasic, 0, false},
		{"basic with tabs around", []string{"\tbasic " + encode("id:secret") + "\t"}, form(), ClientSecretBasic, 0, false},
		{"Basic only", []string{"Basic"}, form(), "", 401, true},
		{"Basics", []string{"Basics " + encode("id:secret")}, form(), "", 401, false},
		{"empty field", []string{""}, form("client_id", "a"), None, 0, false},
		{"two fields", []string{"", ""}, form("client_id", "a"), "", 400, false},
		{"post", nil, form("client_id", "a", "client_secret", "b"), ClientSecretPost, 0, false},
		{"post beside Bearer", []string{"Bearer x"}, form("client_id", "a", "client_secret", "b"), ClientSecretPost, 0, false},
		{"secret only", nil, form("client_secret", "b"), "", 401, false},
		{"none", nil, form("client_id", "a"), None, 0, false},
		{"none, empty secret", nil, form("client_id", "a", "client_secret", ""), None, 0, false},
		{"assertion", nil, form("client_assertion", "a"), "", 401, false},
		{"assertion type and id", nil, form("client_id", "a", "client_assertion_type", assertionType), "", 401, false},
		{"assertion of another type", nil, form("client_assertion", "a", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), "", 401, false},
		{"assertion of a type in capitals", nil, form("client_assertion", "a", "client_assertion_type", strings.ToUpper(assertionType)), "", 401, false},
		{"empty assertion", nil, form("client_id", "a", "client_assertion", "", "client_assertion_type", ""), None, 0, false},
		{"Basic and post", basic, form("client_secret", "b"), "", 400, false},
		{"Basic and assertion", basic, form("client_assertion", "b"), "", 400, false},
		{"Basic only and post", []string{"Basic"}, form("client_id", "a", "client_secret", "b"), "", 400, false},
		{"post and assertion", nil, form("client_id", "a", "client_secret", "b", "client_assertion", "c"), "", 400, false},
		{"Basic and empty", basic, form("client_id", "", "client_secret", "", "client_assertion", ""), ClientSecretBasic, 0, false},
		{"Basic and its id", basic, form("client_id", "id"), ClientSecretBasic, 0, false},
		{"Basic and another id", basic, form("client_id", "other"), "", 400, false},
	} {
		given, refused := present(test.header, test.form)
		switch {
		case test.method != "" && (refused != nil || given.method != test.method || len(given.readings) == 0):
			t.Errorf("%s: %v %+v", test.name, given, refused)
		case test.method == "" && (refused == nil || refused.status != test.status || refused.basic != test.basic):
			t.Errorf("%s: %v %+v", test.name, given, refused)
		}
	}
}
