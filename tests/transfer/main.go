//go:build linux

// Command transfer measures import and export with many records, through the
// command and the admin API of a real Caddy, and that nothing is lost on the way:
//
//	go run ./tests/transfer -records 10000000 -dir <dir>
//
// It imports records in the order that an export has, and in another Caddy mixed up,
// and exports both again. Meanwhile clients revoke tokens at a fixed rate, and how
// long they wait is measured too. The directory needs 8 GB for ten million records.
// It runs on Linux, from the root of the project.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	records := flag.Int("records", 1_000_000, "how many records")
	dir := flag.String("dir", "", "where to work (default: a temporary directory)")
	rate := flag.Int("rate", 50, "revocations of clients a second meanwhile")
	flag.Parse()
	if *dir == "" {
		made, err := os.MkdirTemp("", "transfer")
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(made) }()
		*dir = made
	}
	if err := measure(*dir, *records, *rate); err != nil {
		log.Fatal(err)
	}
}

func measure(dir string, records, rate int) error {
	caddy := filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", caddy, "./caddymodule/caddy")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building: %w", err)
	}
	inOrder, mixed, exported := filepath.Join(dir, "in-order.jsonl"), filepath.Join(dir, "mixed.jsonl"), filepath.Join(dir, "exported.jsonl")
	now := time.Now().UTC().Truncate(time.Second)
	if err := generate(inOrder, records, 1, now); err != nil {
		return err
	}
	if err := generate(mixed, records, stride(records), now); err != nil {
		return err
	}
	for _, step := range []struct{ name, from string }{{"in order", inOrder}, {"mixed up", mixed}} {
		_ = os.Remove(exported)
		if err := transfer(caddy, filepath.Join(dir, "node"), step.name, step.from, exported, rate); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := includes(exported, inOrder, records); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// stride is a step with which one comes by each of n places once, never twice near
// each other.
func stride(n int) int {
	step := int(float64(n) * 0.6180339887)
	for a, b := step, n; ; a, b = step, n {
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 || step <= 1 {
			return max(step, 1)
		}
		step--
	}
}

// generate writes records of tokens as an export has them: each as far from the one
// before as the stride says.
func generate(path string, records, stride int, now time.Time) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	width := math.MaxUint64 / uint64(records)
	for n, i := 0, 0; n < records; n, i = n+1, (i+stride)%records {
		digest := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		within := binary.BigEndian.Uint64(digest[:]) % width
		binary.BigEndian.PutUint64(digest[:], uint64(i)*width+within) // so that they are in the order of i
		expires := now.Add(24*time.Hour + time.Duration(i%86400)*time.Second)
		_, _ = fmt.Fprintf(out, `{"id":"token:%s","kind":"token","effect":"refuse","revoked_at":"%s","expires":"%s","by":"client-%d"}`+"\n",
			hex.EncodeToString(digest[:]), now.Format(time.RFC3339), expires.Format(time.RFC3339), i%1000)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// transfer imports a file into a new Caddy, and exports what it has then.
func transfer(caddy, dir, name, from, to string, rate int) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	n, err := start(caddy, dir)
	if err != nil {
		return err
	}
	defer n.stop()
	clients := n.revokeAt(rate)
	imported := n.command("import", "--quiet", from)
	if err := imported.run(); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	fmt.Printf("import %s: %s", name, imported.out.String())
	fmt.Printf("  took %.1f s; memory: command %d MiB, Caddy %d MiB of its own (with its file %d MiB)\n",
		imported.took.Seconds(), imported.memory>>20, n.own.Load()>>20, n.peak()>>20)
	fmt.Printf("  meanwhile, %s\n", clients())
	n.own.Store(0)
	clients = n.revokeAt(rate)
	exported := n.command("export", "--quiet", "--output", to)
	if err := exported.run(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	fmt.Printf("export: %s", exported.out.String())
	fmt.Printf("  took %.1f s; memory: command %d MiB, Caddy %d MiB of its own\n",
		exported.took.Seconds(), exported.memory>>20, n.own.Load()>>20)
	fmt.Printf("  meanwhile, %s\n", clients())
	info, err := os.Stat(n.store)
	if err != nil {
		return err
	}
	fmt.Printf("  the file of the store has %d MiB\n", info.Size()>>20)
	return nil
}

// includes says whether each line of an export stands in another, both of which
// are in order.
func includes(all, some string, atLeast int) error {
	a, err := os.Open(all)
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	s, err := os.Open(some)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	inAll, inSome := bufio.NewScanner(a), bufio.NewScanner(s)
	n := 0
	for ; inSome.Scan(); n++ {
		for {
			if !inAll.Scan() {
				return fmt.Errorf("line %d is missing in the export", n+1)
			}
			if bytes.Equal(inAll.Bytes(), inSome.Bytes()) {
				break
			}
		}
	}
	if n < atLeast {
		return fmt.Errorf("the export is compared with %d lines, less than %d", n, atLeast)
	}
	fmt.Printf("  all %d records came through\n", n)
	return nil
}

// command is one run of the command.
type command struct {
	cmd    *exec.Cmd
	out    bytes.Buffer
	took   time.Duration
	memory int64 // at most, in bytes
}

func (n *node) command(args ...string) *command {
	c := &command{cmd: exec.Command(n.binary, append([]string{"token-revocation", "--address", n.admin}, args...)...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, io.MultiWriter(os.Stderr)
	return c
}

func (c *command) run() error {
	began := time.Now()
	err := c.cmd.Run()
	c.took = time.Since(began)
	if usage, ok := c.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.memory = usage.Maxrss << 10
	}
	return err
}
