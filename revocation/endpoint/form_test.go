package endpoint

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestParseForm(t *testing.T) {
	for form, want := range map[string]parameters{
		"":                        {},
		"token=a":                 {"token": "a"},
		"token":                   {"token": ""},
		"token=":                  {"token": ""},
		"token==":                 {"token": "="},
		"token=a=b&x=y&x=z":       {"token": "a=b"},
		"&&token=a&&":             {"token": "a"},
		"t%6Fken=%61+b%2B":        {"token": "a b+"},
		"Token=a&token%00=b":      {},
		"client_id=a&token=%3B":   {"client_id": "a", "token": ";"},
		"token=%ff\xfe&x=\x00\n":  {"token": "\xff\xfe"},
		"client_secret&client_id": {"client_secret": "", "client_id": ""},
	} {
		got, refused := parseForm(form)
		if refused != nil || len(got) != len(want) {
			t.Errorf("%q: %v %v, want %v", form, got, refused, want)
			continue
		}
		for name, value := range want {
			if v, ok := got[name]; !ok || v != value {
				t.Errorf("%q: %v, want %v", form, got, want)
			}
		}
	}
	for _, form := range []string{
		"token=a;", ";", "token=%", "token=%6", "token=%6g", "%=a", "x=%&token=a",
		"token=a&token=a", "token=a&t%6fken", "client_id=&client_id=", "token_type_hint=a&x=y&token_type_hint=a",
	} {
		if got, refused := parseForm(form); refused == nil || refused.status != http.StatusBadRequest || refused.code != "invalid_request" {
			t.Errorf("%q: %v %v", form, got, refused)
		}
	}
}

// What is accepted reads as the standard library reads it, and in no other way.
func FuzzParseForm(f *testing.F) {
	for _, form := range []string{
		"token=a&token_type_hint=access_token", "token=a&token=b", "t%6Fken=%61+b", "token=a;x=y", "token=%", "&=&token", "client_id=a&client_secret=%3B",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		got, refused := parseForm(form)
		if refused != nil {
			if got != nil || refused.status != http.StatusBadRequest {
				t.Errorf("%q: %v %+v", form, got, refused)
			}
			return
		}
		if strings.Count(form, "&") > 1000 { // more than the standard library reads
			return
		}
		values, err := url.ParseQuery(form)
		if err != nil || strings.Contains(form, ";") {
			t.Fatalf("%q: accepted, but %v", form, err)
		}
		for name := range known {
			value, there := got[name]
			if all := values[name]; there != (len(all) == 1) || len(all) > 1 || there && all[0] != value {
				t.Errorf("%q: %s is %q, want %q", form, name, value, all)
			}
		}
		for name := range got {
			if !known[name] {
				t.Errorf("%q: %s means nothing here", form, name)
			}
		}
	})
}

func TestMisplaced(t *testing.T) {
	for query, want := range map[string]bool{
		"": false, "x=token": false, "token_type_hint=a": false, "tokens=a": false, "Token=a": false, "%zz": false, "=token": false, "access_token=a": false,
		"token": true, "token=": true, "x&token=a": true, "x;token=a": true, "%74oken=a": true, "client%5fid=a": true,
		"client_secret=": true, "client_assertion=a": true, "client_assertion_type=a": true, "%zz&token=%zz": true,
	} {
		if got := misplaced(query); got != want {
			t.Errorf("%q: %v", query, got)
		}
	}
}
