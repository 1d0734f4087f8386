package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

const (
	prefix = "/token_revocation/"

	dialTimeout   = 10 * time.Second
	answerTimeout = time.Minute // more than the server waits for its disk
	maxAnswer     = 64 << 20
	maxError      = 64 << 10
)

// api is the admin API of a running Caddy.
type api struct {
	address string // as people give it
	origin  string
	tcp     bool
	client  *http.Client
}

// newAPI finds out where the admin endpoint is, as "caddy reload" does. It does
// not go there.
func newAPI(address, config, adapter string) (*api, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(address, nil, config, adapter)
	if err != nil {
		return nil, fmt.Errorf("finding the admin endpoint: %w", err)
	}
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || parsed.PortRangeSize() > 1 {
		return nil, usage("%q is not the address of an admin endpoint", address)
	}
	a := &api{address: address, tcp: !parsed.IsUnixNetwork() && !parsed.IsFdNetwork()}
	if a.tcp {
		a.origin = "http://" + parsed.JoinHostPort(0)
	} else {
		a.origin = "http://127.0.0.1"                     // as Caddy's own commands name it
		parsed.Host, _, _ = strings.Cut(parsed.Host, "|") // its permissions
	}
	network, target := parsed.Network, parsed.JoinHostPort(0)
	a.client = &http.Client{
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, target)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a, nil
}

func (a *api) close() { a.client.CloseIdleConnections() }

// refusal is an answer that is not a success.
type refusal struct {
	status  int
	message string
	after   time.Duration // as Retry-After has it
	body    []byte
}

func (r *refusal) Error() string { return r.message }

// send sends a request and returns the answer if it is a success, which the
// caller closes.
func (a *api) send(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.origin+prefix+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if a.tcp {
		request.Header.Set("Origin", a.origin)
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := a.client.Do(request)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // without the URL
		}
		return nil, fmt.Errorf("asking Caddy's admin endpoint at %s: %w", a.address, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	return nil, a.refused(answer)
}

func (a *api) refused(answer *http.Response) error {
	r := &refusal{status: answer.StatusCode}
	var err error
	if r.body, err = io.ReadAll(io.LimitReader(answer.Body, maxError)); err != nil {
		return fmt.Errorf("reading an answer of status %d: %w", r.status, err)
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.after = time.Duration(seconds) * time.Second
	}
	var said struct{ Error string }
	if json.Unmarshal(r.body, &said) == nil && said.Error != "" {
		r.message = said.Error
		return r
	}
	r.message = fmt.Sprintf("status %d", r.status)
	if r.status == http.StatusNotFound {
		r.message = fmt.Sprintf("the Caddy whose admin endpoint is at %s has no token revocation", a.address)
	}
	return r
}

// attempts is how often a request is sent whose connection breaks: a reload resets
// those that it has not accepted yet. Whatever is asked for may be asked for twice.
const attempts = 3

// errNonsense says that what came is no answer of the admin API.
var errNonsense = errors.New("the answer is not one of the admin API")

// ask sends a request and reads the answer, which is JSON.
func (a *api) ask(ctx context.Context, method, path, contentType string, body []byte, into any) (raw json.RawMessage, err error) {
	var broken error
	for range attempts {
		if raw, err = a.once(ctx, method, path, contentType, body, into); !breaks(err) {
			break
		}
		broken = err
	}
	if err != nil && broken != nil { // whoever was there is gone now
		err = broken
	}
	return raw, err
}

// breaks says whether an error is that of a connection that there was.
func breaks(err error) bool {
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func (a *api) once(ctx context.Context, method, path, contentType string, body []byte, into any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errors.New("the admin endpoint does not answer"))
	defer cancel()
	answer, err := a.send(ctx, method, path, contentType, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	var line bytes.Buffer
	if json.Unmarshal(raw, into) != nil || json.Compact(&line, raw) != nil {
		return nil, errNonsense
	}
	return line.Bytes(), nil
}

func (a *api) get(ctx context.Context, path string, query url.Values, into any) (json.RawMessage, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return a.ask(ctx, http.MethodGet, path, "", nil, into)
}

func (a *api) post(ctx context.Context, path string, question, into any) (json.RawMessage, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	return a.ask(ctx, http.MethodPost, path, "application/json", body, into)
}

// explained turns an answer into what the command ends with: that there is no such
// record only where there is a denylist that could have it.
func (a *api) explained(ctx context.Context, err error) error {
	refused, is := errors.AsType[*refusal](err)
	switch {
	case !is:
		return err
	case refused.status == http.StatusBadRequest:
		return coded{exitUsage, err}
	case refused.status == http.StatusNotFound:
		var sync json.RawMessage
		if _, syncErr := a.get(ctx, "sync", nil, &sync); syncErr != nil {
			return syncErr
		}
		return coded{exitNotFound, err}
	}
	return err
}
