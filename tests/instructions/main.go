// Command instructions counts what the module adds to a request, in executed
// instructions: those of the gate, beside those of the whole Caddy process for a
// request through a bare reverse_proxy. It needs valgrind, and is run from the
// root of the project:
//
//	go run ./tests/instructions
//
// The process is counted as the difference between two numbers of requests, so
// that its start does not count. The gate is counted by itself: how often the
// scheduler parks a goroutine is chance, and costs more than the gate does.
// Valgrind has no SHA instructions, and so counts SHA-256 some twenty times too
// dear: the hash is shown apart and left out.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	few := flag.Int("few", 1000, "requests of the shorter run")
	many := flag.Int("many", 4000, "requests of the longer run")
	flag.Parse()
	dir, err := os.MkdirTemp("", "instructions")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", binary, "./caddymodule/caddy")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		log.Fatalf("building: %v", err)
	}
	measure := func(requests int, directive string, options ...string) cost {
		c, err := count(dir, binary, directive, requests, options...)
		if err != nil {
			log.Fatal(err)
		}
		return c
	}
	bare := (measure(*many, "").all - measure(*few, "").all) / float64(*many-*few)
	gate := measure(*few, "token_revocation",
		"--collect-atstart=no", "--toggle-collect=*/revocation/gate.(?Gate).Check")
	gate.all, gate.hash = gate.all/float64(*few), gate.hash/float64(*few)
	fmt.Printf("instructions a request: %.0f through a bare reverse_proxy\n", bare)
	fmt.Printf("the gate adds %.0f, that is %.2f %%, and %.0f of SHA-256 as valgrind has to compute it\n",
		gate.all-gate.hash, 100*(gate.all-gate.hash)/bare, gate.hash)
}

// cost is a number of instructions: all, and those of SHA-256 among them.
type cost struct{ all, hash float64 }

// count runs Caddy under callgrind for a number of requests.
func count(dir, binary, directive string, requests int, options ...string) (cost, error) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer api.Close()
	address, err := freeAddress()
	if err != nil {
		return cost{}, err
	}
	admin, err := freeAddress()
	if err != nil {
		return cost{}, err
	}
	config := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf("{\n\tadmin %s\n\tauto_https off\n}\nhttp://%s {\n\t%s\n\treverse_proxy %s\n}\n",
		admin, address, directive, strings.TrimPrefix(api.URL, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return cost{}, err
	}
	out := filepath.Join(dir, "callgrind.out")
	args := append([]string{"--tool=callgrind", "--callgrind-out-file=" + out}, options...)
	caddy := exec.Command("valgrind", append(args, binary, "run", "--config", config)...)
	caddy.Env = append(os.Environ(), "XDG_DATA_HOME="+dir+"/data", "XDG_CONFIG_HOME="+dir+"/config",
		"GOMAXPROCS=1",
		"GODEBUG=asyncpreemptoff=1", // callgrind loses count at Go's preemption signals
	)
	var printed bytes.Buffer
	caddy.Stdout, caddy.Stderr = &printed, &printed
	if err := caddy.Start(); err != nil {
		return cost{}, fmt.Errorf("starting valgrind: %w", err)
	}
	sendErr := send("http://"+address+"/api", requests)
	stop, err := http.Post("http://"+admin+"/stop", "", nil) // callgrind does not survive signals to Go
	if err != nil {
		_ = caddy.Process.Kill()
		return cost{}, errors.Join(sendErr, err)
	}
	_ = stop.Body.Close()
	if err := caddy.Wait(); err != nil {
		return cost{}, fmt.Errorf("running Caddy under valgrind: %w\n%s", err, printed.String())
	}
	if sendErr != nil {
		return cost{}, sendErr
	}
	return read(out)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// send sends requests with an 800-byte JWT, one after the other.
func send(url string, n int) error {
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"RS256","kid":"2026-01","typ":"at+jwt"}`)) + "." +
		encode(bytes.Repeat([]byte("p"), 294)) + "." + encode(bytes.Repeat([]byte("s"), 256))
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	for started := time.Now(); ; {
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			if time.Since(started) > 2*time.Minute {
				return fmt.Errorf("no answer from Caddy: %w", err)
			}
			time.Sleep(100 * time.Millisecond)
			continue
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", answer.Status)
		}
		if n--; n == 0 {
			return nil
		}
	}
}

// read adds up what callgrind wrote.
func read(path string) (cost, error) {
	b, err := exec.Command("callgrind_annotate", "--auto=no", "--threshold=100", "--show-percs=no", path).Output()
	if err != nil {
		return cost{}, fmt.Errorf("callgrind_annotate: %w", err)
	}
	var c cost
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseFloat(strings.ReplaceAll(fields[0], ",", ""), 64)
		if err != nil {
			continue
		}
		switch {
		case strings.Contains(lines.Text(), "PROGRAM TOTALS"):
			c.all = n
		case strings.Contains(lines.Text(), "sha256.block"):
			c.hash += n
		}
	}
	if c.all == 0 {
		return c, fmt.Errorf("callgrind_annotate printed no total")
	}
	return c, nil
}
