package tests

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// clientsDir has what npm is to install and the scripts that use it.
const clientsDir = "clients"

// npmPackages installs what tests/clients pins, once for each lock file, in the
// user's cache directory, and returns its node_modules.
var npmPackages = sync.OnceValues(func() (string, error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("%s is not there: these tests need Node.js 20 or later with npm, and only go test -short skips them: %w", tool, err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for what npm installs: %w", err)
	}
	files := []string{"package.json", "package-lock.json", ".npmrc"}
	hash := sha256.New()
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(clientsDir, name))
		if err != nil {
			return "", err
		}
		_, _ = hash.Write(b)
	}
	parent := filepath.Join(cache, "caddy-token-revocation")
	installed := filepath.Join(parent, fmt.Sprintf("npm-%x", hash.Sum(nil)[:8]))
	modules := filepath.Join(installed, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	// Elsewhere first, so that what is at the place is whole, and two that
	// install at once do not meet.
	dir, err := os.MkdirTemp(parent, "installing-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := copyFiles(dir, clientsDir, files...); err != nil {
		return "", err
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
	npm.Dir = dir
	npm.WaitDelay = time.Second
	timer := time.AfterFunc(5*time.Minute, func() { _ = npm.Process.Kill() })
	defer timer.Stop()
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci, in a copy of tests/clients: %w\n%s", err, tail(string(out), 4000))
	}
	if err := os.Rename(dir, installed); err != nil {
		if _, other := os.Stat(modules); other != nil {
			return "", fmt.Errorf("keeping what npm installed: %w", err)
		}
	}
	return modules, nil
})

// npmScripts is a directory with the scripts and, beside them, what they import.
var npmScripts = sync.OnceValues(func() (string, error) {
	modules, err := npmPackages()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(binary), clientsDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	scripts, err := filepath.Glob(filepath.Join(clientsDir, "*.mjs"))
	if err != nil {
		return "", err
	}
	for _, script := range scripts {
		if err := copyFiles(dir, clientsDir, filepath.Base(script)); err != nil {
			return "", err
		}
	}
	return dir, os.Symlink(modules, filepath.Join(dir, "node_modules"))
})

func copyFiles(to, from string, names ...string) error {
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// node is a script of tests/clients that runs: it takes lines of JSON and
// answers each with one.
type node struct {
	name string
	mu   sync.Mutex // held from a question to its answer
	in   *json.Encoder
	out  *bufio.Scanner
	logs *logs
}

// runNode starts a script, which ends with the test.
func runNode(t *testing.T, name string) *node {
	t.Helper()
	if testing.Short() {
		t.Skip("needs what npm installs")
	}
	dir, err := npmScripts()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(dir, name+".mjs"))
	cmd.Dir = t.TempDir()
	n := &node{name: name, logs: new(logs)}
	cmd.Stderr = n.logs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.in, n.out = json.NewEncoder(in), bufio.NewScanner(out)
	// A script that hangs ends too, and whoever reads from it. It may have much to do.
	timer := time.AfterFunc(10*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		timer.Stop()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, tail(n.logs.String(), 4000))
		}
	})
	return n
}

// ask sends a line to the script and reads its answer.
func (n *node) ask(question, answer any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if told, err := json.Marshal(question); err == nil {
		confidential.body("application/json", told)
	}
	if err := n.in.Encode(question); err != nil {
		return fmt.Errorf("%s: %w\n%s", n.name, err, tail(n.logs.String(), 4000))
	}
	if !n.out.Scan() {
		return fmt.Errorf("%s has ended: %w\n%s", n.name, errors.Join(n.out.Err(), io.EOF), tail(n.logs.String(), 4000))
	}
	if err := json.Unmarshal(n.out.Bytes(), answer); err != nil {
		return fmt.Errorf("%s printed %q: %w", n.name, n.out.Text(), err)
	}
	return nil
}
