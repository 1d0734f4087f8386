package revocation_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The domain knows nothing of Caddy, and the root of it nothing of its stores.
func TestImports(t *testing.T) {
	for packages, never := range map[string]string{
		"./...":             "github.com/caddyserver/",
		".":                 "go.etcd.io/bbolt",
		"./gate ./endpoint": "go.etcd.io/bbolt",
	} {
		out, err := exec.Command("go", append([]string{"list", "-deps"}, strings.Fields(packages)...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for imported := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(imported, never) {
				t.Errorf("%s imports %s", packages, imported)
			}
		}
	}
}
