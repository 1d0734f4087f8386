package natscluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Every monitorEvery servers are asked what they say of themselves, within
// monitorTimeout, which is read up to maxMonitor bytes.
const (
	monitorEvery   = time.Minute
	monitorTimeout = 3 * time.Second
	maxMonitor     = 1 << 20
)

// monitor asks servers' monitoring endpoints.
type monitor struct {
	urls   []string
	client http.Client
}

func newMonitor(urls []string, trusted *tls.Config) *monitor {
	return &monitor{urls: urls, client: http.Client{
		Timeout: monitorTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: trusted,
			DisableKeepAlives: true, // a minute is long
		},
	}}
}

// unsynced are warnings about servers that acknowledge what a loss of power can
// take from them. A client cannot see that in the stream.
func (m *monitor) unsynced(ctx context.Context, replicas int) (warnings []string) {
	said := make([]string, len(m.urls))
	var wg sync.WaitGroup
	for i, server := range m.urls {
		wg.Go(func() { said[i] = m.unsyncedAt(ctx, server, replicas) })
	}
	wg.Wait()
	for i, warning := range said {
		if warning != "" {
			warnings = append(warnings, fmt.Sprintf("the server at %s: %s", host(m.urls[i]), warning))
		}
	}
	return warnings
}

func (m *monitor) unsyncedAt(ctx context.Context, server string, replicas int) (warning string) {
	var said struct {
		Disabled bool `json:"disabled"`
		Config   *struct {
			Interval time.Duration `json:"sync_interval"`
			Always   bool          `json:"sync_always"`
		} `json:"config"`
	}
	err := m.ask(ctx, strings.TrimSuffix(server, "/")+"/jsz", &said)
	switch {
	case err == nil && said.Disabled: // a leaf node or a gateway to others
		return ""
	case err != nil || said.Config == nil:
		return "its monitoring endpoint did not say how often it syncs"
	case said.Config.Always:
		return ""
	case replicas > 1:
		return fmt.Sprintf("if all servers lose power at once, what was acknowledged within %s may be lost: set sync_interval to always", said.Config.Interval)
	}
	return fmt.Sprintf("if it loses power, what was acknowledged within %s is lost: set sync_interval to always", said.Config.Interval)
}

func (m *monitor) ask(ctx context.Context, address string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := m.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(response.Body, maxMonitor)).Decode(answer)
}

// host is what may be said of a URL, which may hold a password.
func host(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return "a URL that cannot be read"
}
