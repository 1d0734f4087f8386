package tests

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what is written to its end that programs have can
// be read here.
func terminal(t *testing.T) (here, there *os.File) {
	t.Helper()
	here, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close() })
	if err := unix.IoctlSetPointerInt(int(here.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(here.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if there, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return here, there
}

// Who sits at a terminal sees a bar, and is told what to give instead of being
// waited for; nobody else does.
func TestCLITerminal(t *testing.T) {
	t.Parallel()
	c := start(t, siteWith(), nil)
	lines, _ := transferLines(2 * transferChunk)
	file := cliFile(t, "lines", strings.Join(lines, ""))
	for _, run := range []struct {
		args []string
		bar  bool
	}{
		{[]string{"import", file}, true},
		{[]string{"import", "--quiet", file}, false},
		{[]string{"import", "--json", file}, false},
		{[]string{"export", "--output", cliFile(t, "denylist", ""), "--continue"}, true},
	} {
		here, there := terminal(t)
		cmd := c.cliCommand(run.args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, there
		read := make(chan string)
		go func() {
			shown, _ := io.ReadAll(here) // ends with an error, as the other end is closed
			read <- string(shown)
		}()
		if err := cmd.Run(); err != nil {
			t.Errorf("%q: %v", run.args, err)
		}
		_ = there.Close()
		shown := <-read
		if bar := strings.Contains(shown, "\r") && strings.Contains(shown, "ing "); bar != run.bar {
			t.Errorf("%q shows %q", run.args, shown)
		}
		if strings.Contains(out.String(), "\r") || out.Len() == 0 {
			t.Errorf("%q prints %q", run.args, out.String())
		}
	}
	_, there := terminal(t)
	cmd := c.cliCommand("revoke")
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = there, &errs
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != cliUsage || !strings.Contains(errs.String(), "nothing is named") {
		t.Errorf("revoking nothing from a terminal: %v %s", err, errs.String())
	}
}

// However long a line is, the command needs little memory for it.
func TestTransferHugeLine(t *testing.T) {
	c := start(t, siteWith(), nil)
	r := c.transfer(t, "import", "--keep-going")
	r.write(t, `{"token":"before"}`+"\n", `{"token":"`)
	part := strings.Repeat("x", 1<<20)
	for range 300 {
		r.write(t, part)
	}
	r.write(t, "\"}\n", `{"token":"after"}`+"\n")
	peak := peakMemory(t, r.cmd.Process.Pid)
	r.ends(t, cliFailed)
	if said := r.errs.String(); !strings.Contains(said, "line 2: the line is too long") || len(said) > 1000 {
		t.Errorf("it says %s", tail(said, 1000))
	}
	if n := len(transferIDs(t, c.cli(t, cliDone, "", "export").out)); n != 2 {
		t.Errorf("%d records were stored", n)
	}
	limit := int64(250)
	if raceFlag == "-race=true" { // which takes several times as much
		limit *= 4
	}
	if peak>>20 > limit {
		t.Errorf("the command took %d MiB", peak>>20)
	}
}

// peakMemory is the most that a running process has had in memory, in bytes. What
// the system says once it has ended counts that of the test before its start too.
func peakMemory(t *testing.T, pid int) (n int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(peak, &n); err != nil {
		t.Fatalf("%v in %s", err, status)
	}
	return n << 10
}
