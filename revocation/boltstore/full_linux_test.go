package boltstore

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

// With a full disk a Put is refused and what was stored stays known; with room
// again, a retry succeeds.
func TestDiskFull(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	path, filler := filepath.Join(dir, "denylist.db"), filepath.Join(dir, "filler")
	s := mustOpen(t, path)
	stored := records(100)
	mustPut(t, s, stored...)

	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	var refused []revocation.Record
	for i := 100; refused == nil; i += 100 { // until no page is free inside the file either
		batch := records(i + 100)[i:]
		if err := tryPut(s, batch...); err != nil {
			notStored(t, err)
			refused = batch
		} else {
			stored = append(stored, batch...)
		}
	}
	notStored(t, tryPut(s, refused...))
	wants(t, s, stored...)
	for _, r := range refused {
		if _, err := s.Get(r.Key); !errors.Is(err, revocation.ErrNotFound) {
			t.Fatalf("Get of what was refused = %v, want ErrNotFound", err)
		}
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, refused...)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wants(t, mustOpen(t, path), append(stored, refused...)...)
}

const inNamespace = "BOLTSTORE_IN_NAMESPACE"

// smallDisk mounts one, which needs a mount namespace of its own: the calling
// test runs once more in a child that has it, and ends in the parent.
func smallDisk(t *testing.T) (dir string, ok bool) {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		return dir, true
	}
	var refusals []error
	for _, attr := range []*syscall.SysProcAttr{
		{Unshareflags: syscall.CLONE_NEWNS}, // as root
		{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		},
	} {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), inNamespace+"=1")
		child.SysProcAttr = attr
		var out bytes.Buffer
		child.Stdout, child.Stderr = &out, &out
		if err := child.Start(); err != nil {
			refusals = append(refusals, err)
			continue
		}
		if err := child.Wait(); err != nil {
			t.Errorf("%v:\n%s", err, &out)
		}
		return "", false
	}
	t.Fatalf("a full disk can only be tested as root or where users may have namespaces: %v", errors.Join(refusals...))
	return "", false
}
