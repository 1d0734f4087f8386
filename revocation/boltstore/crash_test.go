package boltstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation"
)

const (
	crashFile   = "BOLTSTORE_CRASH_FILE"
	crashLimits = "BOLTSTORE_CRASH_LIMITS"
	crashFirst  = "BOLTSTORE_CRASH_FIRST" // number of the first record that is put
	crashRounds = 8
)

// What a Put has answered for survives kill -9, however often; and with the cursor
// survives all that it stands for.
func TestKilled(t *testing.T) {
	if path := os.Getenv(crashFile); path != "" {
		first, _ := strconv.Atoi(os.Getenv(crashFirst))
		putUntilKilled(mustOpenWith(t, path, manyLimits[os.Getenv(crashLimits)]), first)
	}
	for name := range manyLimits {
		t.Run(name, func(t *testing.T) {
			c := crashes{t: t, limits: name, path: newPath(t)}
			for range crashRounds {
				c.kill(20 + rand.IntN(300))
				c.check()
			}
		})
	}
}

// crashes are those of the processes that put something in one file.
type crashes struct {
	t      *testing.T
	limits string
	path   string
	stored []revocation.Record
	next   int
	cursor uint64
}

// kill starts a process and ends it when it has put a number of records.
func (c *crashes) kill(after int) {
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), crashFile+"="+c.path, crashLimits+"="+c.limits, crashFirst+"="+strconv.Itoa(c.next))
	out, err := child.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		c.t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		first, count, ok := strings.Cut(lines.Text(), " ")
		i, err := strconv.Atoi(first)
		many, otherErr := strconv.Atoi(count)
		if !ok || err != nil || otherErr != nil {
			c.t.Errorf("the child said %q", lines.Text())
			_ = child.Process.Kill()
			continue
		}
		for j := range many {
			c.stored = append(c.stored, record(i+j))
			c.next = max(c.next, i+j+1)
		}
		if n++; n == after {
			_ = child.Process.Kill()
		}
	}
	_ = child.Wait()
	if n < after {
		c.t.Fatalf("the child put only %d times", n)
	}
	c.next += 1000 // what was under way may be there or not
}

// check looks at a copy, so that the next process finds the file as this one left it.
func (c *crashes) check() {
	content, err := os.ReadFile(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	path := newPath(c.t)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		c.t.Fatal(err)
	}
	intact(c.t, path)
	s := mustOpenWith(c.t, path, manyLimits[c.limits])
	wants(c.t, s, c.stored...)
	cursor, err := s.Cursor()
	if err != nil {
		c.t.Fatal(err)
	}
	if cursor != nil {
		position := binary.BigEndian.Uint64(cursor)
		if position < c.cursor {
			c.t.Fatalf("the cursor went back from %d to %d", c.cursor, position)
		}
		c.cursor = position
	}
	for i := range c.cursor {
		wants(c.t, s, delivered(i+1))
	}
	mustClose(c.t, s)
}

// delivered is what a cursor at a position has received last.
func delivered(position uint64) revocation.Record { return record(1<<40 + int(position)) }

// putUntilKilled puts records from the first on, says what is durable, and receives
// lazily beside it.
func putUntilKilled(s *Store, first int) {
	var next atomic.Int64
	next.Store(int64(first))
	put := func(batch revocation.Batch) {
		if err := s.Put(context.Background(), batch); err != nil {
			fmt.Println(err)
		}
	}
	for worker := range 8 {
		go func() {
			for {
				many := 1
				if worker == 0 {
					many = 12 // more than tiny limits append
				}
				last := int(next.Add(int64(many)))
				var batch revocation.Batch
				for i := last - many; i < last; i++ {
					batch.Records = append(batch.Records, record(i))
				}
				put(batch)
				fmt.Println(last-many, many)
			}
		}()
	}
	go func() {
		position := uint64(0)
		if cursor, _ := s.Cursor(); cursor != nil {
			position = binary.BigEndian.Uint64(cursor)
		}
		for {
			position++
			ended := record(-1 - int(position%100))
			ended.Expires = t0
			put(revocation.Batch{
				Records: []revocation.Record{delivered(position), ended},
				Cursor:  binary.BigEndian.AppendUint64(nil, position),
				Lazy:    position%7 > 0,
			})
		}
	}()
	for {
		if _, err := s.Drop(context.Background(), t0.Add(time.Second)); err != nil {
			fmt.Println(err)
		}
	}
}
