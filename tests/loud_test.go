package tests

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every Caddy of the tests says all that it can, so that promise 10 is held
// against all of them: it logs at level debug, every site has an access log, there
// are metrics for each host, and there is an admin endpoint.

var tokenHeaderLine = regexp.MustCompile(`(?m)^\s*token header (\S+)`)

// loud adds to a Caddyfile what it does not say of that itself.
//
// Sampled, it logs the first hundred lines of a second with the same message, and
// every thousandth of the others.
func loud(t *testing.T, caddyfile string, sampled bool) string {
	t.Helper()
	if !globalBlock.MatchString(caddyfile) {
		caddyfile = "{\n}\n" + caddyfile
	}
	log := exampleFilter(t, tokenHeaderLine.FindAllStringSubmatch(caddyfile, -1))
	if sampled {
		log += "\n\t\tsampling {\n\t\t\tinterval 1s\n\t\t\tfirst 100\n\t\t\tthereafter 1000\n\t\t}"
	}
	options := map[string]string{
		"admin":   "\tadmin ADMIN",
		"debug":   "\tdebug",
		"log":     "\tlog {\n\t\t" + log + "\n\t}",
		"metrics": "\tmetrics {\n\t\tper_host\n\t}",
	}
	var out []string
	for _, block := range topLevel(caddyfile) {
		head := strings.TrimSpace(block[0])
		switch {
		case head == "{":
			out = append(out, block[0])
			for _, name := range []string{"admin", "debug", "metrics", "log"} {
				if !has(block, name) {
					out = append(out, options[name])
				}
			}
			out = append(out, block[1:]...)
		case nesting(head) == 1 && !strings.HasPrefix(head, "(") && !has(block, "log"):
			out = append(append(out, block[0], "\tlog"), block[1:]...)
		default:
			out = append(out, block...)
		}
	}
	return strings.Join(out, "\n")
}

var globalBlock = regexp.MustCompile(`\A(\s|#.*\n)*\{\s*\n`)

// topLevel are the lines of a Caddyfile: those of each block together, and the
// others each alone.
func topLevel(caddyfile string) (blocks [][]string) {
	depth := 0
	for line := range strings.SplitSeq(caddyfile, "\n") {
		if depth == 0 {
			blocks = append(blocks, nil)
		}
		last := &blocks[len(blocks)-1]
		*last = append(*last, line)
		depth += nesting(line)
	}
	return blocks
}

// nesting is by how many blocks the next line is deeper.
func nesting(line string) int {
	switch line = strings.TrimSpace(line); {
	case strings.HasPrefix(line, "#"):
		return 0
	case line == "{" || strings.HasSuffix(line, " {"):
		return 1
	case line == "}":
		return -1
	}
	return 0
}

// has says whether a block has a directive.
func has(block []string, name string) bool {
	depth := 0
	for _, line := range block {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); depth == 1 && word == name {
			return true
		}
		depth += nesting(line)
	}
	return false
}

// exampleFilter is the log filter of Caddyfile.example, which is told of the
// header fields that are configured to carry tokens, as it says that it has to be.
// Caddy itself hides neither these nor what stands in a URL.
func exampleFilter(t *testing.T, names [][]string) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	filter := regexp.MustCompile(`(?s)format filter \{\n.*?\n\t\t\}`).FindString(string(text))
	if filter == "" {
		t.Fatal("Caddyfile.example has no log filter")
	}
	more := ""
	for _, name := range names {
		line := "\n\t\t\trequest>headers>" + http.CanonicalHeaderKey(name[1]) + " delete"
		if !strings.Contains(filter+more+"\n", line+"\n") {
			more += line
		}
	}
	return strings.Replace(filter, "{", "{"+more, 1)
}
