package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The exit codes of the command, as its help has them.
const (
	cliDone = iota
	cliFailed
	cliUsage
	cliRefused
	cliNotFound
)

// cliRun is what became of a run of the command.
type cliRun struct {
	code      int
	out, errs string
}

// cliCommand is "caddy token-revocation" with these arguments, at the admin
// endpoint of this Caddy.
func (c *caddy) cliCommand(args ...string) *exec.Cmd {
	return c.command(append([]string{"token-revocation", "--address", c.admin}, args...)...)
}

// cli runs the command, and expects how it ends and that no line of its input stands
// in what it says.
func (c *caddy) cli(t *testing.T, code int, input string, args ...string) cliRun {
	t.Helper()
	ran := cliRunOf(t, c.cliCommand(args...), input)
	c.hear(fmt.Sprintf("%q", args), []byte(ran.out+ran.errs))
	if ran.code != code {
		t.Errorf("%q ended with %d, want %d:\n%s%s", args, ran.code, code, ran.out, ran.errs)
	}
	return ran
}

func cliRunOf(t *testing.T, cmd *exec.Cmd, input string) cliRun {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	ran := cliRun{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	for line := range strings.Lines(input) {
		if line = strings.TrimSpace(line); len(line) > 8 && strings.Contains(ran.out+ran.errs, line) {
			t.Errorf("%q repeats a line of its input:\n%s%s", cmd.Args, ran.out, ran.errs)
		}
	}
	return ran
}

// says expects texts in what the command has said, in this order.
func (r cliRun) says(t *testing.T, texts ...string) {
	t.Helper()
	rest := r.out + r.errs
	for _, text := range texts {
		_, after, ok := strings.Cut(rest, text)
		if !ok {
			t.Errorf("it says\n%s%s\nwithout %q there", r.out, r.errs, text)
			return
		}
		rest = after
	}
}

// cliRecords are the records of the answers in a run with --json, one a line.
func (r cliRun) records(t *testing.T) (list []adminRecord) {
	t.Helper()
	for line := range strings.Lines(r.out) {
		var page adminPage
		if err := json.Unmarshal([]byte(line), &page); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, page.Records...)
	}
	return list
}

func cliFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Tokens on standard input and in files are revoked, explained and restored.
func TestCLITokens(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	one, two, three := newToken(), jwt(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(time.Hour).Unix())), newToken()
	several := cliFile(t, "tokens", "\n"+two+"\r\n  \n"+three)

	c.cli(t, cliDone, one, "check").says(t, "not refused\n")
	c.cli(t, cliDone, one+"\n", "revoke", "--reason", "in a bug report").says(t, "token:", "refuse", "(operator)", "in a bug report")
	c.wants(t, http.StatusUnauthorized, one)
	c.wants(t, http.StatusOK, two, three)
	c.cli(t, cliRefused, one, "check").says(t, "refused until ", "token:", "in a bug report", "  refuses: the token itself is revoked\n")

	list := c.cli(t, cliDone, "", "revoke", "--token-file", several, "--by", "alice", "--json").records(t)
	if len(list) != 2 || list[0].Kind != "token" || list[0].By != "alice" || !list[0].Operator {
		t.Errorf("%+v", list)
	} else if end := time.Until(list[0].Expires); end < 50*time.Minute || end > time.Hour {
		t.Errorf("it expires in %s, and not with the token", end)
	}
	c.wants(t, http.StatusUnauthorized, two, three)
	c.cli(t, cliRefused, "nothing-of-that-kind\n"+two, "check", "--token-file", "-").says(t, "line 1: not refused\n", "line 2: refused until ")

	c.cli(t, cliDone, "", "restore", "--token-file", several).says(t, "restored", "restored")
	c.cli(t, cliDone, "", "restore", "--token-file", several).says(t, "restored", "restored")
	c.wants(t, http.StatusUnauthorized, one)
	c.wants(t, http.StatusOK, two, three)
	c.cli(t, cliDone, "", "check", "--token-file", several).says(t, "line 2: not refused\n", "passes: the revocation was taken back", "line 4: not refused\n")

	// What cannot be done about one does not keep the others from it.
	ran := c.cli(t, cliNotFound, newToken()+"\n"+one+"\n", "restore")
	ran.says(t, "restored", "Error: line 1: ")
	c.wants(t, http.StatusOK, one)
	ran = c.cli(t, cliFailed, newToken()+"\nBearer "+newToken(), "revoke") // of which the first is done
	ran.says(t, "refuse", "Error: line 2: ")
	ran = c.cli(t, cliDone, jwt(`{"exp":1}`), "revoke")
	ran.says(t, "ended already")
	if ran.out != "" {
		t.Errorf("it prints %q", ran.out)
	}
}

// Rules of each kind, a dry run of one, and the ids that the tables show.
func TestCLIRules(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	token := jwtWithHeader(`{"alg":"RS256","kid":"k-1"}`, fmt.Sprintf(
		`{"iss":%q,"jti":"j-1","sid":"s-1","sub":"bob","client_id":"shop","iat":%d}`, adminIssuer, time.Now().Unix()))
	for _, rule := range [][]string{
		{"jti", "--jti", "j-1"}, {"session", "--session", "s-1"}, {"subject", "--subject", "bob"},
		{"client", "--client", "shop"}, {"key", "--key", "k-1"}, {"issuer"},
	} {
		args := append([]string{"--issuer", adminIssuer}, rule[1:]...)
		c.cli(t, cliDone, "", append([]string{"check"}, args...)...).says(t, "not refused\n")
		revoked := append([]string{"revoke", "--json", "--expires", "in 2h"}, args...)
		list := c.cli(t, cliDone, "", revoked...).records(t)
		if len(list) != 1 || list[0].Kind != rule[0] || list[0].Issuer != adminIssuer || time.Until(list[0].Expires) > 2*time.Hour+time.Second {
			t.Errorf("%q: %+v", args, list)
			continue
		}
		c.wants(t, http.StatusUnauthorized, token)
		c.cli(t, cliRefused, "", append([]string{"check"}, args...)...).says(t, "refused until ", rule[0]+":", adminIssuer)
		c.cli(t, cliRefused, token, "check").says(t, "refused until ", rule[0]+":", "  refuses: ")
		c.cli(t, cliDone, "", "restore", "--id", list[0].ID).says(t, "restored")
		c.wants(t, http.StatusOK, token)
	}

	c.cli(t, cliDone, "", "revoke", "--issuer", adminIssuer, "--subject", "bob", "--issued-before", "1h ago").says(t, "refuse")
	c.wants(t, http.StatusOK, token) // issued since
	c.cli(t, cliDone, token, "check").says(t, "not refused, issued at ", "passes: it was issued after the time of the rule")
	c.cli(t, cliFailed, "", "revoke", "--issuer", adminIssuer, "--subject", "bob", "--dry-run").says(t, "Error: ")

	forged := jwtWithHeader(`{"alg":"RS256","kid":"leaked"}`, fmt.Sprintf(`{"iss":%q,"iat":99999999999}`, adminIssuer))
	c.wants(t, http.StatusOK, forged)
	c.cli(t, cliDone, "", "revoke", "--issuer", adminIssuer, "--key", "leaked", "--issued-before", "9999-12-31T23:59:59Z").says(t, "refuse")
	c.wants(t, http.StatusUnauthorized, forged)
	c.cli(t, cliRefused, forged, "check").says(t, "refused until 9999-12-31T23:59:59Z")
}

func TestCLIDryRun(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	token := jwt(fmt.Sprintf(`{"iss":%q,"client_id":"shop"}`, adminIssuer))
	ran := c.cli(t, cliDone, "", "revoke", "--issuer", adminIssuer, "--client", "shop", "--dry-run", "--reason", "is it used?")
	ran.says(t, "client:", "count", "is it used?")
	c.wants(t, http.StatusOK, token, token)
	c.cli(t, cliDone, token, "check").says(t, "not refused", "passes: a dry run only counts")
	c.cli(t, cliDone, "", "list", "--effect", "count").says(t, "client:", "[would have refused 2 requests of 1 tokens]\n")

	_, row, _ := strings.Cut(ran.out, "\n")
	id := strings.Fields(row)[0] // as the table has it
	c.cli(t, cliDone, "", "revoke", "--id", id, "--by", "alice").says(t, id, "refuse", "alice (operator)")
	c.wants(t, http.StatusUnauthorized, token)
	c.cli(t, cliRefused, "", "check", "--id", id).says(t, "refused until")
	c.cli(t, cliDone, "", "restore", "--id", id).says(t, id, "restored")
	c.wants(t, http.StatusOK, token)
	unknown := "client:" + strings.Repeat("0", 12)
	for _, command := range []string{"revoke", "restore", "check"} {
		c.cli(t, cliNotFound, "", command, "--id", unknown).says(t, "Error: ")
	}
}

// A list follows the pages, however long it is.
func TestCLIList(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	const n = 2300
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"token":"listed-%d","by":"clerk-%d"}`+"\n", i, i%2)
	}
	c.cli(t, cliDone, lines.String(), "import")
	c.cli(t, cliDone, "", "revoke", "--issuer", adminIssuer, "--subject", "bob")
	count := func(args ...string) (ids map[string]bool) {
		t.Helper()
		ids = map[string]bool{}
		for line := range strings.Lines(c.cli(t, cliDone, "", append([]string{"list", "--json"}, args...)...).out) {
			var r adminRecord
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.ID == "" || ids[r.ID] {
				t.Fatalf("%q: %v", line, err)
			}
			ids[r.ID] = true
		}
		return ids
	}
	for want, args := range map[int][]string{
		n + 1: nil, n / 2: {"--by", "clerk-1"}, n: {"--kind", "token,jti"}, 1: {"--issuer", adminIssuer, "--value", "bob"},
		0: {"--since", "in 1h"}, 1234: {"--limit", "1234"}, 7: {"--limit", "7", "--until", "in 1m"},
	} {
		if got := len(count(args...)); got != want {
			t.Errorf("%q lists %d records, want %d", args, got, want)
		}
	}
	table := c.cli(t, cliDone, "", "list").out
	if got := strings.Count(table, "\n"); got != n+2 || strings.Count(table, "EFFECT") != 1 {
		t.Errorf("the table has %d lines", got)
	}
	if got := c.cli(t, cliDone, "", "list", "--kind", "session").out; got != "" {
		t.Errorf("nothing is listed as %q", got)
	}
}

func TestCLIStats(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	c.cli(t, cliDone, newToken(), "revoke")
	store := c.names.Replace("STORE")
	c.cli(t, cliDone, "", "stats").says(t, "ready", "yes", "store", store+", reachable", "records: token", "1", "index", "cache")
	var both struct {
		Stats struct{ Records map[string]int }
		Sync  struct{ Ready bool }
	}
	if err := json.Unmarshal([]byte(c.cli(t, cliDone, "", "stats", "--json").out), &both); err != nil || both.Stats.Records["token"] != 1 || !both.Sync.Ready {
		t.Errorf("%+v %v", both, err)
	}
}

// Who uses it wrongly is told how, without what may be a token, and nothing is done.
func TestCLIUsage(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	secret := jwt(`{"sub":"usage"}`)
	bare, _, _ := strings.Cut(secret, ".")
	for _, wrong := range [][]string{
		{"revoke", secret}, {"check", secret}, {"restore", secret}, {"list", secret}, {"stats", secret},
		{"export", secret}, {"import", secret}, {"import", "a", secret}, {secret}, {bare}, {"rewoke"},
		{"revoke", "--" + secret}, {"revoke", "-" + secret}, {"revoke", "--" + secret + "=1"}, {"revoke", "--token-file", secret},
		{"revoke", "--token-file="}, {"revoke", "--token-file", "missing"},
		{"revoke", "--issuer", adminIssuer, "--jti", secret}, {"revoke", "--issuer", secret}, {"check", "--id", secret},
		{"revoke", "--id", "token:" + bare}, {"restore", "--id", "x"}, {"list", "--value", secret}, {"list", "--kind", bare},
		{"revoke", "--issuer", adminIssuer, "--subject", "x", "--reason", secret}, {"revoke", "--by", secret, "--issuer", adminIssuer},
		{"revoke", "--subject", "bob"}, {"revoke", "--issuer", adminIssuer, "--subject", ""}, {"revoke", "--issuer", ""},
		{"revoke", "--issuer", adminIssuer, "--subject", "a", "--client", "b"}, {"revoke", "--issuer", adminIssuer, "--id", "x"},
		{"revoke", "--issuer", adminIssuer, "--subject", "a", "--expires", bare}, {"revoke", "--issuer", adminIssuer, "--issued-before", ""},
		{"revoke", "--issuer", adminIssuer, "--session", "a", "--issued-before", "now"},
		{"revoke"}, {"list", "--limit", secret}, {"list", "--since", bare}, {"import", "--skip", "-1"},
		{"export", "--continue"}, {"export", "--output", os.DevNull}, {"export", "--kind", bare}, {"--address", "tcp/localhost:1-5", "list"},
	} {
		ran := c.cli(t, cliUsage, "", wrong...)
		ran.says(t, "Error: ", " --help'")
		if strings.Contains(ran.out+ran.errs, bare) {
			t.Errorf("%q is repeated:\n%s%s", wrong, ran.out, ran.errs)
		}
	}
	for _, line := range []string{"\xff\xfe not text", strings.Repeat("x", 1<<20)} {
		if ran := c.cli(t, cliFailed, "\n"+line, "revoke"); len(ran.errs) > 200 {
			t.Errorf("it says %q", ran.errs)
		}
	}
	c.cli(t, cliFailed, strings.Repeat("x", 65530), "revoke").says(t, "Error: ", "too large")
	c.cli(t, cliUsage, "").says(t, "Exit codes:", "import", "restore")
	c.cli(t, cliDone, "", "revoke", "--help").says(t, "Examples:")
	if ran := c.cli(t, cliDone, "", "list"); ran.out != "" {
		t.Errorf("something was done: %s", ran.out)
	}
	for _, text := range []string{secret, bare} {
		if strings.Contains(c.logs.String(), text) {
			t.Error("a token stands in the log")
		}
	}
}

// The admin endpoint may be elsewhere, or not there, or know nothing of tokens.
func TestCLIAddress(t *testing.T) {
	t.Parallel()
	c := newCaddy(t, t.TempDir(), newUpstream(t))
	socket := filepath.Join(c.dir, "admin.sock")
	c.launch(strings.Replace(siteWith(), "admin ADMIN", "admin unix/"+socket+"|0600", 1))
	config := filepath.Join(c.dir, "Caddyfile")
	for _, where := range [][]string{
		{"--address", "unix/" + socket}, {"--address", "unix/" + socket + "|0600"}, {"--config", config}, {"-c", config, "-a", "caddyfile"},
	} {
		cmd := c.command(append([]string{"token-revocation", "stats"}, where...)...)
		ran := cliRunOf(t, cmd, "")
		if ran.code != cliDone {
			t.Errorf("%q: %+v", where, ran)
		}
	}
	c.cli(t, cliFailed, "", "list").says(t, "Error: asking Caddy's admin endpoint at "+c.admin, "connection refused")
	began := time.Now()
	c.cli(t, cliFailed, `{"token":"x"}`, "import").says(t, "connection refused")
	c.cli(t, cliFailed, "", "export").says(t, "connection refused")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to find out that nobody is there", took)
	}
	for _, where := range []string{"unix/" + socket + ".not", "localhost:99999999", "unix/" + c.dir} {
		cmd := c.command("token-revocation", "list", "--address", where)
		if ran := cliRunOf(t, cmd, ""); ran.code != cliFailed && ran.code != cliUsage || ran.errs == "" {
			t.Errorf("%q: %+v", where, ran)
		}
	}

	other := start(t, "{\n\tadmin ADMIN\n}\nhttp://localhost:PORT {\n\trespond ok\n}\n", nil)
	for _, args := range [][]string{{"restore", "--id", "token:000000000000"}, {"list"}, {"export"}, {"stats"}} {
		other.cli(t, cliFailed, "", args...).says(t, "Error: the running configuration has no token_revocation")
	}
	other.cli(t, cliFailed, `{"token":"x"}`, "import").says(t, "Error: the running configuration has no token_revocation")
}

// What somebody else has chosen does not reach the terminal as it is.
func TestCLIControlCharacters(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), newUpstream(t))
	c.cli(t, cliDone, `{"kind":"subject","issuer":"https://idp.example.com","value":"\u001b[2J\u202e"}`, "import")
	for _, args := range [][]string{{"list"}, {"check", "--issuer", adminIssuer, "--subject", "\x1b[2J\u202e"}} {
		ran := cliRunOf(t, c.cliCommand(args...), "")
		if strings.ContainsAny(ran.out, "\x1b\u202e") || !strings.Contains(ran.out, `\x1b[2J\u202e`) {
			t.Errorf("%q", ran.out)
		}
	}
}

// In an answer that is no answer there is nothing to be believed.
func TestCLINonsense(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"text":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "welcome") },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"object":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"502":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			up := newUpstream(t)
			up.handle = handler
			c := newCaddy(t, t.TempDir(), nil)
			c.admin = up.address
			for _, args := range [][]string{{"revoke"}, {"check"}, {"list"}, {"stats"}, {"restore"}} {
				ran := c.cli(t, cliFailed, "a-token-of-nonsense", args...)
				if ran.out != "" {
					t.Errorf("%q prints %q", args, ran.out)
				}
			}
			c.cli(t, cliFailed, `{"token":"a-token-of-nonsense"}`, "import", "--patience", "100ms")
			c.cli(t, cliFailed, "", "export", "--patience", "100ms")
		})
	}
}
