// Command clusterload measures a cluster of gateways over HTTP: three real Caddys and
// one nats-server, each a process of its own on this machine, with sync_interval:
// always.
//
//	go run ./tests/clusterload
//
// It says how long it takes from a success answer at one gateway until the others
// refuse the token, and how many revocations 64 callers get acknowledged through one;
// beside what one fsync takes at the same place. It runs from the root of the project,
// for half a minute.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "", "where to work (default: a temporary directory)")
	rate := flag.Int("rate", 200, "revocations a second while the spread is measured")
	callers := flag.Int("callers", 64, "how many revoke at once while throughput is measured")
	lasts := flag.Duration("lasts", 10*time.Second, "how long each measurement lasts")
	flag.Parse()
	if *rate <= 0 || *callers <= 0 || *lasts <= 0 {
		log.Fatal("rate, callers and lasts must be more than 0")
	}
	if *dir == "" {
		made, err := os.MkdirTemp("", "clusterload")
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(made) }()
		*dir = made
	}
	if err := run(*dir, *rate, *callers, *lasts); err != nil {
		log.Print(err)
		defer os.Exit(1)
	}
}

func run(dir string, rate, callers int, lasts time.Duration) (err error) {
	caddy, engine := filepath.Join(dir, "caddy"), filepath.Join(dir, "nats-server")
	for binary, from := range map[string]string{caddy: "./caddymodule/caddy", engine: "./tests/natsserver"} {
		build := exec.Command("go", "build", "-o", binary, from)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building %s: %w", from, err)
		}
	}
	started := &processes{dir: dir}
	defer func() { err = errors.Join(err, started.stop()) }()
	url, err := started.engine(engine)
	if err != nil {
		return err
	}
	var gateways []*gateway
	for i := range 3 {
		g, err := started.gateway(caddy, i, url)
		if err != nil {
			return err
		}
		gateways = append(gateways, g)
	}
	if err := sayFsync(dir); err != nil {
		return err
	}
	if err := spread(gateways, rate, lasts); err != nil {
		return err
	}
	if err := throughput(gateways, callers, lasts); err != nil {
		return err
	}
	return sayFsync(dir)
}

// sayFsync says what it takes to make a page durable while nothing else happens here.
func sayFsync(dir string) error {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var took []time.Duration
	page := make([]byte, 4096)
	for range 300 {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	fmt.Printf("one fsync: %s\n", quantiles(took))
	return nil
}

// quantiles are how long half of what took a time did, and 99 %, at most.
func quantiles(took []time.Duration) string {
	if len(took) == 0 {
		return "nothing was measured"
	}
	slices.Sort(took)
	at := func(part float64) time.Duration {
		return took[int(part*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %s, p99 %s, longest %s", at(0.5), at(0.99), at(1))
}
