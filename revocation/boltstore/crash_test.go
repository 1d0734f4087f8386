package boltstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const crashFile = "BOLTSTORE_CRASH_FILE"

// What a Put has answered for survives kill -9, with its cursor.
func TestKilled(t *testing.T) {
	if path := os.Getenv(crashFile); path != "" {
		putUntilKilled(mustOpen(t, path))
	}
	path := newPath(t)
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), crashFile+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var stored []revocation.Record
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		i, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("the child said %q", lines.Text())
		}
		if stored = append(stored, record(i)); len(stored) == 500 {
			_ = child.Process.Kill()
		}
	}
	_ = child.Wait()
	if len(stored) < 500 {
		t.Fatalf("the child stored only %d records", len(stored))
	}
	s := mustOpen(t, path)
	wants(t, s, stored...)
	cursor, err := s.Cursor()
	if err != nil || cursor == nil {
		t.Fatalf("Cursor = %x, %v", cursor, err)
	}
	wants(t, s, record(int(binary.BigEndian.Uint64(cursor))))
}

func putUntilKilled(s *Store) {
	var next atomic.Int64
	for range 8 {
		go func() {
			for {
				i := int(next.Add(1))
				batch := revocation.Batch{
					Records: []revocation.Record{record(i)},
					Cursor:  binary.BigEndian.AppendUint64(nil, uint64(i)),
				}
				if err := s.Put(context.Background(), batch); err != nil {
					fmt.Println(err)
				}
				fmt.Println(i)
			}
		}()
	}
	select {}
}
