package keys

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
)

func stdEncode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestFile(t *testing.T) {
	one, two := jwk(t, private()["P-256"], `,"kid":"one"`), jwk(t, private()["P-256 2"], `,"kid":"two"`)
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range map[string][]byte{"empty": {}, "HTML": []byte("<html>"), "no keys": document()} {
		write(b)
		if _, err := NewFile(path); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := NewFile(path + "x"); err == nil {
		t.Error("a file that is not there is accepted")
	}
	if _, err := NewFile(filepath.Dir(path)); err == nil {
		t.Error("a folder is accepted")
	}

	write(document(one))
	f, c := must(NewFile(path)), newClock()
	f.now = c.Now
	has := func(kid string, want bool) {
		t.Helper()
		if keys, err := f.Find(t.Context(), kid, "ES256"); err != nil || (len(keys) > 0) != want {
			t.Errorf("%s: %d keys, %v", kid, len(keys), err)
		}
	}
	has("one", true)
	write(document(one, two))
	has("two", false) // not looked at again so soon
	c.pass(filePause)
	has("two", true)

	replacement := path + ".new"
	if err := os.WriteFile(replacement, document(two), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(replacement, path); err != nil {
		t.Fatal(err)
	}
	c.pass(filePause)
	has("one", false)
	has("two", true)

	// Whatever happens to the file, the last keys stay.
	write(document(one)[:20])
	c.pass(filePause)
	has("two", true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.pass(filePause)
	has("two", true)
	write(document(one))
	c.pass(filePause)
	has("one", true)
	has("two", false)
	if held, err := f.Holds(t.Context(), certificate(t, private()["P-256"], 1)); held || err != nil {
		t.Errorf("%v %v", held, err)
	}
}
