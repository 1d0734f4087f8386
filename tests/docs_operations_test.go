package tests

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const operationsPage = "../docs/operations.md"

// Every command of the page is run, in their order, and prints what stands there.
func TestOperationsPage(t *testing.T) {
	c, texts := newPageCaddy(t)
	t.Setenv("CADDY_ADMIN", c.admin)
	work := operationsDirectory(t)
	t.Setenv("PATH", filepath.Join(work, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	commands := 0
	for _, section := range readDoc(t, operationsPage, "caddyfile", "console") {
		for _, block := range section.blocks {
			if block.language == "caddyfile" {
				c.launch(texts.Replace(block.text))
				continue
			}
			for command := range strings.SplitSeq("\n"+block.text, "\n$ ") {
				if command == "" {
					continue
				}
				commands++
				command, want, _ := strings.Cut(command, "\n")
				got := operationsRun(t, c, work, texts.Replace(command))
				if got, want := operationsSteady(c, got), operationsSteady(c, want); got != want {
					t.Errorf("%s:%d: %s prints\n%s\nwant\n%s", operationsPage, block.line, command, got, want)
				}
			}
		}
	}
	if commands < 25 {
		t.Errorf("%d commands", commands)
	}
}

// operationsDirectory has the files of which the page speaks, and the command.
func operationsDirectory(t *testing.T) string {
	t.Helper()
	work := t.TempDir()
	encode := base64.RawURLEncoding.EncodeToString
	for name, text := range map[string]string{
		"leaked.txt": "17|alpha\n",
		"reports.jwt": encode([]byte(`{"alg":"ES256","kid":"2025-07"}`)) + "." +
			encode([]byte(`{"iss":"https://idp.example.com","sub":"batch","client_id":"reports","iat":1700000000}`)) + ".YQ\n",
		"list.jsonl": `{"token":"18|beta","reason":"found by a scanner"}
{"token":"19|gamma","expires":"in 90d","by":"scanner"}
{"kind":"client","issuer":"https://idp.example.com","value":"old-app","issued_before":"1h ago"}
`,
		"broken.jsonl": `{"token":"20|delta"}
{"token":"21|epsi
{"token":"22|zeta"}
`,
	} {
		write(t, filepath.Join(work, name), text)
	}
	if err := os.Mkdir(filepath.Join(work, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(work, "bin", "caddy")); err != nil {
		t.Fatal(err)
	}
	return work
}

// operationsRun runs a command and returns all that it prints.
func operationsRun(t *testing.T, c *caddy, work, command string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", "exec 2>&1; "+command)
	cmd.Dir, cmd.Env, cmd.WaitDelay = work, c.command().Env, 10*time.Second
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v", command, err)
	}
	return string(out)
}

var (
	operationsTime   = regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z`)
	operationsBy     = regexp.MustCompile(`\S+ \(operator\)|"by":"[^"]+"`)
	operationsSpaces = regexp.MustCompile(` +`)
	operationsSizes  = regexp.MustCompile(`(?m)^(index|cache) .*`)
)

// operationsSteady is an output without what differs from run to run.
func operationsSteady(c *caddy, out string) string {
	out = strings.ReplaceAll(out, c.dir+"/data", "/var/lib/caddy")
	out = operationsTime.ReplaceAllString(out, "TIME")
	out = operationsBy.ReplaceAllString(out, "SOMEBODY")
	out = operationsSizes.ReplaceAllString(out, "$1")
	return strings.TrimSpace(operationsSpaces.ReplaceAllString(out, " "))
}
