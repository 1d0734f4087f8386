package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// denylists are the files and directories in a directory that this module made.
func denylists(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, "denylist") || strings.Contains(filepath.Base(path), "token_revocation") || filepath.Base(path) == "store" {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// One file, one process: beside a running Caddy, looking at its configuration
// does no harm, and a second one with the same file ends in bounded time and
// says which file it is and what to do.
func TestOneFileOneProcess(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	first := start(t, siteWith(), up)
	token := newToken()
	first.revoke(t, token)
	path := first.names.Replace("STORE")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if before.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %s", before.Mode())
	}

	for _, command := range []string{"validate", "adapt"} {
		if out, err := first.command(command, "--config", first.config(siteWith()), "--adapter", "caddyfile").CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", command, err, out)
		}
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || after.Size() != before.Size() || after.ModTime() != before.ModTime() {
		t.Errorf("the file changed: %v, %v, %v", before, after, err)
	}
	if list := denylists(t, first.dir); len(list) != 2 { // the file and its directory
		t.Errorf("%v", list)
	}

	second := newCaddy(t, t.TempDir(), up)
	began := time.Now()
	if err := second.tryLaunch(strings.ReplaceAll(siteWith(), "STORE", path)); err == nil || !strings.Contains(err.Error(), "Caddy ended") {
		t.Fatalf("the second: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the second took %s", took)
	}
	for _, said := range []string{path, "in use by another process", "stop the other process, or give each its own file"} {
		if !strings.Contains(second.logs.String(), said) {
			t.Errorf("the second did not say %q", said)
		}
	}

	// The first did not notice, and another file is no matter.
	if a := first.bearer(t, token); a.status != 401 {
		t.Errorf("the revoked token: %d", a.status)
	}
	first.revoke(t, newToken())
	second.launch(siteWith())
	if a := second.bearer(t, token); a.status != 200 {
		t.Errorf("on another file: %d", a.status)
	}
}

// Without a global option the directive works with the defaults: its file in
// Caddy's data directory, and nobody who could revoke.
func TestDefaults(t *testing.T) {
	up := newUpstream(t)
	c := start(t, "http://localhost:PORT {\n\ttoken_revocation\n\treverse_proxy UPSTREAM\n}\n", up)
	file := filepath.Join(c.dir, "data", "caddy", "token_revocation", "denylist.db")
	for path, mode := range map[string]fs.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want %s", path, info, err, mode)
		}
	}
	token := newToken()
	c.try(t, up, revocationRequest{token: token, want: invalidBasic})
	c.try(t, up, revocationRequest{token: token, header: without("Authorization"), want: invalidClient})
	c.try(t, up, revocationRequest{token: token, header: without("Authorization"), body: "token=TOKEN&client_id=webapp", want: invalidClient})
	c.try(t, up, revocationRequest{token: token, method: "GET", want: badMethod})
	if !strings.Contains(c.logs.String(), "nobody can revoke a token") {
		t.Error("the log does not warn that nobody can revoke")
	}
}
