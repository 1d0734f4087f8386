package boltstore

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

const child = "BOLTSTORE_CHILD"

// inChild runs the calling test once more in a process of its own, which has the first
// of the attributes that it may have; there it is true, and in the parent the test is over.
func inChild(t *testing.T, attributes ...*syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(child) != "" {
		return true
	}
	var refusals []error
	for _, attribute := range attributes {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		cmd.SysProcAttr = attribute
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			refusals = append(refusals, err)
			continue
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v:\n%s", err, &out)
		}
		return false
	}
	t.Fatalf("this can only be tested as root, or where users may have namespaces: %v", errors.Join(refusals...))
	return false
}

// smallDisk mounts one, which needs a mount namespace of its own. In the parent it is
// not ok.
func smallDisk(t *testing.T) (dir string, ok bool) {
	t.Helper()
	asRoot := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	asUser := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if !inChild(t, asRoot, asUser) {
		return "", false
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, true
}

func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	return func() {
		t.Helper()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
}

// limitFileSize has what this process writes behind a place in any file fail: also what
// "go test" has it note, so that the test has to be in a child.
func limitFileSize(t *testing.T, size int64) (unlimited func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limited := before
	limited.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
}
