package faults

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
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
