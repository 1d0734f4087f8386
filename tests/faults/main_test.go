// Package faults does to gateways that share a denylist, and to the engine and the
// network between them, what happens to such things; all the while tokens are
// revoked and asked with. What is answered is written down, and judged by package
// history. It is a module of its own, and imports nothing of the one it is about:
// that is built, and run.
//
//	go test .                       # some minutes
//	go test . -timeout 1h -faults.mix 20m
//	go test . -run Mix -faults.seed 17
package faults

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	mix  = flag.Duration("faults.mix", 25*time.Second, "how long faults are mixed at random")
	seed = flag.Uint64("faults.seed", rand.Uint64(), "of the mixture")
	race = flag.Bool("faults.race", false, "build Caddy with the race detector")
	only = flag.String("faults.only", "", "a pattern of the faults that are done")
	keep = flag.String("faults.keep", "", "a directory in which to keep histories")
)

// programs is where the programs under test are, and work where all files of the
// tests are, which do not outlive this process.
var programs, work string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	var err error
	if work, err = os.MkdirTemp("", "faults"); err == nil {
		defer func() { _ = os.RemoveAll(work) }()
		err = guard.begin(work)
	}
	if err == nil && os.Getenv(abandoned) != "" {
		beAbandoned()
	}
	if err == nil {
		defer guard.end()
		programs = filepath.Join(work, "programs")
		err = errors.Join(build("caddy", "./caddymodule/caddy"), build("nats-server", "./tests/natsserver"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(name, of string) error {
	args := []string{"build", "-o", filepath.Join(programs, name)}
	if *race && name == "caddy" {
		args = append(args, "-race")
	}
	command := exec.Command("go", append(args, of)...)
	command.Dir = "../.."
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return nil
}
