package tests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// reload loads another Caddyfile through the admin endpoint, which the running
// one must have at ADMIN. Whether that succeeds or not, one configuration alone
// serves at each of its ports afterwards.
func (c *caddy) reload(caddyfile string) error {
	body := bytes.NewBufferString(c.names.Replace(c.given(caddyfile)))
	request, err := http.NewRequest(http.MethodPost, "http://"+c.admin+"/load", body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/caddyfile")
	request.Header.Set("Cache-Control", "must-revalidate") // also where nothing changed
	request.Close = true                                   // each configuration has an admin endpoint of its own
	answer, err := http.DefaultClient.Do(request)
	for range 5 {
		// The endpoint of the configuration before may have accepted the connection
		// as it ended.
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			break
		}
		if request.Body, err = request.GetBody(); err != nil {
			return err
		}
		answer, err = http.DefaultClient.Do(request)
	}
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	settled := c.settle()
	if answer.StatusCode != http.StatusOK {
		var why bytes.Buffer
		_, _ = why.ReadFrom(answer.Body)
		return fmt.Errorf("%s: %s", answer.Status, why.String())
	}
	return settled
}

var portInText = regexp.MustCompile(`:(\d{4,5})\b`)

// settle waits until one configuration alone serves at PORT, at ADMIN and wherever else
// a configuration has said. Each listens there by itself, and Caddy answers a reload a
// moment before the former one has let go of all: it accepts connections until then,
// and breaks those whose request comes later.
func (c *caddy) settle() error {
	defer http.DefaultClient.CloseIdleConnections() // of the configuration before
	c.mu.Lock()
	texts := c.names.Replace(":PORT ADMIN ") + string(c.texts)
	c.mu.Unlock()
	settled := map[string]bool{}
	for _, found := range portInText.FindAllStringSubmatch(texts, -1) {
		if settled[found[1]] {
			continue
		}
		settled[found[1]] = true
		port, err := strconv.ParseUint(found[1], 10, 16)
		if err == nil {
			err = servesAlone(uint16(port))
		}
		if errors.Is(err, errors.ErrUnsupported) {
			return c.responds()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// servesAlone waits until no more than one listens at a port.
func servesAlone(port uint16) error {
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(time.Millisecond) {
		switch serving, err := listeners(port); {
		case err != nil || serving <= 1:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("two configurations serve at %d for 20 seconds after a reload", port)
		}
	}
}

// responds waits until PORT answers where nothing says who listens there: the
// configuration before may yet break a connection. The request is one that the
// server answers by itself.
func (c *caddy) responds() (err error) {
	for range 10 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", c.names.Replace("localhost:PORT")); err != nil {
			return nil // no configuration has it any more
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		_, err = bufio.NewReader(conn).ReadByte()
		_ = conn.Close()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("settling after a reload: %w", err)
}
