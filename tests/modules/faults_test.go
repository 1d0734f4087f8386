// Package modules runs those tests that are modules of their own, so that what they
// need weighs on no user, and that take their time beside the others.
package modules

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Gateways, engine and network fail, and a program judges what was answered
// meanwhile: see ../faults.
func TestFaults(t *testing.T) {
	watchSources(t)
	for _, command := range [][]string{
		{"vet", "./..."},
		{"test", "-count=1", "-v", "./history"},
		append([]string{"test", "-count=1", "-v", "-timeout=9m", "-parallel=4", "."}, flags...),
	} {
		cmd := exec.Command("go", command...)
		cmd.Dir = "../faults"
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(command, " "), err, out.String())
		}
		if strings.Contains(out.String(), "SKIP") {
			t.Errorf("something was left out:\n%s", out.String())
		}
		t.Log(out.String())
	}
}

// watchSources looks at every source file, which is how "go test" learns that
// what it remembers of these tests is of no use once one has changed.
func watchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".go", ".mod", ".sum":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
