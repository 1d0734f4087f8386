// Package modules runs those tests that are modules of their own, so that what they
// need weighs on no user, and that take their time beside the others.
package modules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
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
		{"test", "-count=1", "-json", "./history"},
		append([]string{"test", "-count=1", "-json", "-timeout=20m", "-parallel=4", "."}, flags...),
	} {
		cmd := exec.Command("go", command...)
		cmd.Dir = "../faults"
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		err := cmd.Run()
		said := read(&out)
		if err != nil {
			t.Fatalf("go %s: %v\n%s%s", strings.Join(command, " "), err, stderr.String(), said.of("fail"))
		}
		if skipped := said.of("skip"); skipped != "" {
			t.Errorf("something was left out:\n%s", skipped)
		}
		t.Log(said.of("pass"))
	}
}

// said is what tests have printed: of each, and how it ended.
type said []*testOutput

type testOutput struct {
	end     string // as "go test -json" says; empty if it never ended
	printed strings.Builder
}

// read reads what "go test -json" prints, and the rest if that is something else.
func read(out io.Reader) (list said) {
	byName := map[string]*testOutput{}
	decoder := json.NewDecoder(out)
	for {
		var event struct{ Action, Package, Test, Output string }
		err := decoder.Decode(&event)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			rest, _ := io.ReadAll(io.MultiReader(decoder.Buffered(), out))
			one := &testOutput{}
			one.printed.Write(rest)
			return append(list, one)
		}
		name := event.Package + " " + event.Test
		one := byName[name]
		if one == nil {
			one = &testOutput{}
			byName[name], list = one, append(list, one)
		}
		one.printed.WriteString(event.Output)
		switch event.Action {
		case "pass", "fail", "skip":
			one.end = event.Action
		}
	}
}

// of is the output of the tests that ended in one way, and of those that never did.
func (s said) of(end string) string {
	var b strings.Builder
	for _, one := range s {
		if one.end == end || one.end == "" {
			b.WriteString(one.printed.String())
		}
	}
	return b.String()
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
