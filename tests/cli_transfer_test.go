package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// transferLines are lines for an import, a token each, and the ids of their records.
func transferLines(n int) (lines []string, ids map[string]bool) {
	ids = make(map[string]bool, n)
	for i := range n {
		token := fmt.Sprintf("transferred-%d", i)
		digest := sha256.Sum256([]byte(token))
		ids["token:"+hex.EncodeToString(digest[:])] = true
		lines = append(lines, fmt.Sprintf(`{"token":%q}`+"\n", token))
	}
	return lines, ids
}

// transferIDs are the ids in an export, each of which stands there once.
func transferIDs(t *testing.T, export string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for line := range strings.Lines(export) {
		var r adminRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("a line of an export: %q %v", line, err)
		}
		if ids[r.ID] {
			t.Errorf("%s is exported twice", r.ID)
		}
		ids[r.ID] = true
	}
	return ids
}

// has expects just these records in the denylist.
func (c *caddy) has(t *testing.T, ids map[string]bool) {
	t.Helper()
	if got := transferIDs(t, c.cli(t, cliDone, "", "export", "--quiet").out); !maps.Equal(got, ids) {
		t.Errorf("it has %d records, and not the %d that it should have", len(got), len(ids))
	}
}

// transferRun is a run of the command that goes on.
type transferRun struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out, errs logs
}

func (c *caddy) transfer(t *testing.T, args ...string) *transferRun {
	t.Helper()
	r := &transferRun{cmd: c.cliCommand(args...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

func (r *transferRun) write(t *testing.T, lines ...string) {
	t.Helper()
	if _, err := io.WriteString(r.in, strings.Join(lines, "")); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the end, and expects how it ends.
func (r *transferRun) ends(t *testing.T, code int) {
	t.Helper()
	_ = r.in.Close()
	_ = r.cmd.Wait()
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%q ended with %d, want %d:\n%s%s", r.cmd.Args, got, code, tail(r.out.String(), 1000), r.errs.String())
	}
}

// waitForRecords waits until so many are in the denylist.
func (c *caddy) waitForRecords(t *testing.T, n int) {
	t.Helper()
	a := newAdmin(t, c)
	waitFor(t, time.Minute, func() error {
		var stats struct{ Total int }
		a.wants(t, http.StatusOK, &stats, http.MethodGet, "stats", "")
		if stats.Total < n {
			return fmt.Errorf("%d of %d records have come", stats.Total, n)
		}
		return nil
	})
}

const transferChunk = 20_000 // lines of a request of the command

// All that a denylist knows comes through an export and an import, as it is.
func TestTransfer(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	here, there := start(t, siteWith(), up), start(t, siteWith(), up)
	one, two := newToken(), newToken()
	here.revoke(t, one)
	here.cli(t, cliDone, two+"\n"+one, "revoke", "--reason", "ein „Grund“ <&>")
	here.cli(t, cliDone, two, "restore")
	for _, rule := range [][]string{{"--session", "s"}, {"--jti", "j"}, {"--subject", "s", "--dry-run"}, {"--client", "c"}, {"--key", "k"}, nil} {
		here.cli(t, cliDone, "", append([]string{"revoke", "--issuer", "https://other.example"}, rule...)...)
	}
	exported := here.cli(t, cliDone, "", "export").out
	if n := strings.Count(exported, "\n"); n != 8 {
		t.Errorf("%d records were exported:\n%s", n, exported)
	}
	file := cliFile(t, "denylist.jsonl", exported)
	for range 2 { // again changes nothing
		there.cli(t, cliDone, "", "import", file).says(t, "lines: 8, stored: 8, had ended already: 0\n")
		if got := there.cli(t, cliDone, "", "export").out; got != exported {
			t.Errorf("imported, it is\n%s, was\n%s", got, exported)
		}
	}
	there.wants(t, http.StatusUnauthorized, one)
	there.wants(t, http.StatusOK, two)

	// An old export does not undo what was decided since; a new revocation does.
	there.cli(t, cliDone, one, "restore")
	there.cli(t, cliDone, exported, "import")
	there.wants(t, http.StatusOK, one)
	there.cli(t, cliDone, fmt.Sprintf(`{"token":%q}`, one), "import", "--by", "carol").says(t, "lines: 1, stored: 1")
	there.wants(t, http.StatusUnauthorized, one)
	there.cli(t, cliRefused, one, "check").says(t, "carol (operator)")
	// Within one import, it is as if it was done line by line.
	there.cli(t, cliDone, one, "restore")
	restored := there.cli(t, cliDone, "", "export", "--kind", "token").out
	there.cli(t, cliDone, fmt.Sprintf("{\"token\":%q}\n%s", one, restored), "import")
	there.wants(t, http.StatusUnauthorized, one)
	list := there.cli(t, cliDone, "", "export", "--kind", "issuer,session").out
	if n := strings.Count(list, "\n"); n != 2 || !strings.HasPrefix(list, `{"id":"session:`) {
		t.Errorf("of two kinds, it exports\n%s", list)
	}
	for _, text := range []string{`"msg":"imported"`, `"kind_token":2`, `"msg":"client revoked"`, `"by":"carol"`} {
		if !strings.Contains(there.logs.String(), text) {
			t.Errorf("the log is without %s", text)
		}
	}
	if n := strings.Count(there.logs.String(), `"msg":"token revoked"`); n > 0 {
		t.Errorf("%d tokens of imports stand in the log", n)
	}
}

// An import that is interrupted says where to go on.
func TestTransferInterrupted(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	lines, ids := transferLines(transferChunk + 5000)
	r := c.transfer(t, "import")
	r.write(t, lines[:transferChunk+100]...)
	c.waitForRecords(t, transferChunk)
	_ = r.cmd.Process.Signal(os.Interrupt)
	_ = r.cmd.Wait() // though it waits for input
	r.ends(t, cliFailed)
	found := regexp.MustCompile(`lines done: (\d+); go on with --skip (\d+)\n`).FindStringSubmatch(r.errs.String())
	if found == nil { // the records were stored, and the answer that says so did not come in time
		found = []string{"", "0", "0"}
	}
	if found[1] != found[2] || !strings.Contains(r.errs.String(), "interrupted") {
		t.Fatalf("it says\n%s", r.errs.String())
	}
	left := map[string]string{"0": "25,000", fmt.Sprint(transferChunk): "5,000"}[found[1]]
	file := cliFile(t, "lines", strings.Join(lines, ""))
	c.cli(t, cliDone, "", "import", "--skip", found[1], file).says(t, "lines: "+left+", stored: "+left)
	c.has(t, ids)
	c.cli(t, cliDone, "", "import", "--skip", fmt.Sprint(len(lines)), file).says(t, "lines: 0")
	c.cli(t, cliUsage, "", "import", "--skip", fmt.Sprint(len(lines)+1), file).says(t, "there are only 25000 lines")
}

// An import goes on when Caddy comes back from a crash.
func TestTransferThroughCrash(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	lines, ids := transferLines(3 * transferChunk)
	r := c.transfer(t, "import")
	r.write(t, lines[:transferChunk+1]...)
	c.waitForRecords(t, transferChunk)
	c.kill(syscall.SIGKILL)
	r.write(t, lines[transferChunk+1:2*transferChunk+1]...)
	waitFor(t, time.Minute, func() error {
		if said := r.errs.String(); !strings.Contains(said, "trying again: ") {
			return fmt.Errorf("it does not try again:\n%s", said)
		}
		return nil
	})
	c.launch(siteWith())
	r.write(t, lines[2*transferChunk+1:]...)
	r.ends(t, cliDone)
	c.has(t, ids)
}

// Reloads do not disturb imports and exports.
func TestTransferThroughReloads(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	lines, ids := transferLines(2*transferChunk + 1)
	file := cliFile(t, "lines", strings.Join(lines, ""))
	imported, ended := c.transfer(t, "import", file), make(chan struct{})
	go func() {
		_ = imported.cmd.Wait()
		close(ended)
	}()
	reloads := 0
	for running := true; running; reloads++ {
		if err := c.reload(siteWith()); err != nil {
			t.Fatal(err)
		}
		if reloads%3 == 2 && c.reload(strings.Replace(siteWith(), "reverse_proxy", "reverse_prox", 1)) == nil {
			t.Error("a Caddyfile with a mistake was loaded")
		}
		select {
		case <-ended:
			running = false
		default:
		}
	}
	if imported.cmd.ProcessState.ExitCode() != cliDone {
		t.Errorf("%s%s", imported.out.String(), imported.errs.String())
	}
	t.Logf("%d reloads", reloads)
	c.has(t, ids)
}

// An export goes on from where it was when Caddy comes back, and otherwise is an
// error; what it has printed are whole lines.
func TestTransferExportThroughCrash(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	lines, ids := transferLines(5 * transferChunk)
	c.cli(t, cliDone, "", "import", cliFile(t, "lines", strings.Join(lines, "")))
	for _, comesBack := range []bool{true, false} {
		patience := "1m"
		if !comesBack {
			patience = "1ms"
		}
		cmd := c.cliCommand("export", "--patience", patience)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1)
		if _, err := io.ReadFull(out, first); err != nil {
			t.Fatal(err)
		}
		c.kill(syscall.SIGKILL) // while the command waits for its reader
		if comesBack {
			c.launch(siteWith())
		}
		rest, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		got, code := transferIDs(t, string(first)+string(rest)), cmd.ProcessState.ExitCode()
		switch {
		case comesBack && (code != cliDone || !maps.Equal(got, ids)):
			t.Errorf("it ended with %d and %d records:\n%s", code, len(got), errs.String())
		case !comesBack && (code != cliFailed || len(got) == 0 || len(got) >= len(ids)):
			t.Errorf("without Caddy it ended with %d and %d records:\n%s", code, len(got), errs.String())
		}
	}
}

// Wherever a file of an export was cut off, it can be gone on with.
func TestTransferContinue(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	lines, _ := transferLines(200)
	c.cli(t, cliDone, strings.Join(lines, ""), "import")
	c.cli(t, cliDone, "", "revoke", "--issuer", adminIssuer, "--subject", "bob", "--reason", strings.Repeat("<", 1000))
	whole := c.cli(t, cliDone, "", "export").out
	file := filepath.Join(t.TempDir(), "denylist.jsonl")
	c.cli(t, cliDone, "", "export", "--output", file).says(t, "records: 201\n")
	c.cli(t, cliUsage, "", "export", "--output", file).says(t, "exists already")
	lineEnd := strings.Index(whole, "\n") + 1
	for _, length := range []int{0, 1, lineEnd - 1, lineEnd, lineEnd + 1, len(whole) / 2, len(whole) - 2, len(whole) - 1, len(whole)} {
		if err := os.WriteFile(file, []byte(whole[:length]), 0o600); err != nil {
			t.Fatal(err)
		}
		c.cli(t, cliDone, "", "export", "--output", file, "--continue")
		if got, err := os.ReadFile(file); err != nil || string(got) != whole {
			t.Errorf("cut off at %d of %d bytes, it is not made whole", length, len(whole))
		}
	}
	for name, text := range map[string]string{
		"another file":    "[1,2]\nfoo\n",
		"one long line":   strings.Repeat("x", 300<<10),
		"empty lines":     "\n\n",
		"no id":           "{\"token\":\"x\"}\n",
		"an id by itself": "token:12\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.cli(t, cliUsage, "", "export", "--output", file, "--continue").says(t, "Error: ")
		if got, _ := os.ReadFile(file); string(got) != text {
			t.Errorf("%s was changed", name)
		}
	}
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	c.cli(t, cliUsage, "", "export", "--output", file, "--continue", "--kind", "token").says(t, "another --kind")
	missing := filepath.Join(t.TempDir(), "missing.jsonl")
	c.kill(syscall.SIGTERM)
	c.cli(t, cliFailed, "", "export", "--output", missing).says(t, "connection refused")
	if _, err := os.Stat(missing); err == nil {
		t.Error("an export that got nothing leaves a file")
	}
}

// Lines that cannot be read are named, and nothing of them is repeated; those
// around them are imported, as far as is wanted.
func TestTransferBadLines(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	secret := "of-a-bad-line-0123456789"
	bad := map[int]string{
		2:  "garbage " + secret,
		3:  `{"token":"` + secret + `"`,
		5:  `{"` + secret + `":1}`,
		6:  `{"token":"` + secret + `","kind":"subject"}`,
		7:  `{"kind":"` + secret + `","issuer":"x","value":"y"}`,
		8:  `{"id":"` + secret + `"}`,
		9:  `{"token":"` + secret + `","expires":"` + secret + `"}`,
		10: `{"id":"token:` + strings.Repeat("0", 64) + `","kind":"token","effect":"` + secret + `","revoked_at":"now","expires":"in 1h"}`,
		11: `{"id":"token:` + strings.Repeat("0", 64) + `","kind":"token","effect":"refuse","expires":"in 1h"}`,
		12: `{"id":"token:` + strings.Repeat("0", 64) + `","kind":"token","effect":"refuse","revoked_at":"now"}`,
		13: `{"id":"subject:` + strings.Repeat("0", 64) + `","kind":"subject","effect":"refuse","issuer":"a","value":"b","issued_before":"now","revoked_at":"now","expires":"in 1h"}`,
		14: `{"token":"` + secret + `"} {"token":"x"}`,
		15: `{"token":"` + secret + `","token":"x"}`,
		16: `{"token":"` + strings.Repeat("x", 70<<10) + `"}`,
		17: `["` + secret + `"]`,
	}
	var lines []string
	for n := 1; n <= 18; n++ {
		line, is := bad[n]
		if !is {
			line = fmt.Sprintf(`{"token":"good-%d"}`, n)
		}
		lines = append(lines, line+"\n")
	}
	lines = append(lines, "\n", "  \r\n", `{"token":"good-last","expires":"1h ago"}`+"\n", `{"token":"good-without-an-end"}`)

	ran := c.cli(t, cliFailed, strings.Join(lines, ""), "import")
	ran.says(t, "lines: 1, stored: 1", "lines done: 1; go on with --skip 1\n", "Error: line 2: ")
	input := strings.Join(lines, "")
	ran = cliRunOf(t, c.cliCommand("import", "--keep-going", "--json"), "")
	if ran.code != cliDone {
		t.Errorf("%+v", ran)
	}
	ran = c.cli(t, cliFailed, input, "import", "--keep-going")
	var numbers []int
	for n := range bad {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		ran.says(t, fmt.Sprintf("left out: line %d: ", n))
	}
	ran.says(t, "lines: 22, stored: 4, had ended already: 1\n", fmt.Sprintf("cannot be read: %d\n", len(bad)))
	if strings.Contains(ran.errs, secret) || strings.Contains(c.logs.String(), secret) {
		t.Errorf("a bad line is repeated:\n%s", ran.errs)
	}
	if n := len(transferIDs(t, c.cli(t, cliDone, "", "export").out)); n != 4 {
		t.Errorf("%d records were stored", n)
	}
	// Skipping counts lines as they stand in the file.
	c.cli(t, cliFailed, input, "import", "--skip", "16").says(t, "Error: line 17: ")
	c.cli(t, cliFailed, input, "import", "--skip", "15").says(t, "Error: line 16: ")
	c.cli(t, cliDone, input, "import", "--skip", "17", "--json").says(t, `{"lines":5,"stored":2,"ended":1}`)
}
