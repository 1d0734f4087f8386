package faults

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// guard is a process that, when this one ends in whatever way, ends all that it has
// started and removes its files.
var guard guardian

type guardian struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	to  io.WriteCloser
}

// guardScript is told "+" or "-" and the id of a process, one a line.
const guardScript = `
trap '' INT TERM HUP
while read -r op id; do
	case $op in
	+) ids="$ids $id" ;;
	-) others=; for one in $ids; do [ "$one" = "$id" ] || others="$others $one"; done; ids=$others ;;
	esac
done
[ -z "$ids" ] || kill -9 $ids
sleep 0.2
rm -rf "$1"
`

func (g *guardian) begin(dir string) (err error) {
	g.cmd = exec.Command("sh", "-c", guardScript, "guard", dir)
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // not to be ended with this process
	if g.to, err = g.cmd.StdinPipe(); err != nil {
		return err
	}
	return g.cmd.Start()
}

// tell says of a process that it was started or has ended.
func (g *guardian) tell(op string, process int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = fmt.Fprintln(g.to, op, process)
}

func (g *guardian) end() {
	_ = g.to.Close()
	_ = g.cmd.Wait()
}

// abandoned is a variable of the environment in which this program starts a process
// and is killed.
const abandoned = "FAULTS_ABANDONED"

func beAbandoned() {
	cmd := exec.Command("sleep", "1000")
	cmd.Stdout = os.Stdout // which ends when both have
	if err := cmd.Start(); err != nil {
		os.Exit(1)
	}
	guard.tell("+", cmd.Process.Pid)
	fmt.Println(work)
	select {}
}

// Nothing remains of tests that are killed.
func TestGuard(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), abandoned+"=yes")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var dir string
	if _, err := fmt.Fscan(out, &dir); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, out)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("a process is still there")
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(patience); ; time.Sleep(tick) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
}
