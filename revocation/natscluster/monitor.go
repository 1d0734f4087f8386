package natscluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// What servers say of themselves is asked for within monitorTimeout, and read up to
// maxMonitor bytes.
const (
	monitorTimeout = 3 * time.Second
	maxMonitor     = 1 << 20
)

// unsynced are warnings about servers that acknowledge what a loss of power can
// take from them. A client cannot see that in the stream.
func (c *Config) unsynced(ctx context.Context, replicas int) (warnings []string) {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	for _, server := range c.Monitor {
		if warning := unsynced(ctx, server, replicas); warning != "" {
			warnings = append(warnings, fmt.Sprintf("the server at %s: %s", host(server), warning))
		}
	}
	return warnings
}

func unsynced(ctx context.Context, server string, replicas int) (warning string) {
	var said struct {
		Config struct {
			Interval time.Duration `json:"sync_interval"`
			Always   bool          `json:"sync_always"`
		} `json:"config"`
	}
	if err := ask(ctx, server+"/jsz", &said); err != nil {
		return "its monitoring endpoint did not say how often it syncs"
	}
	switch {
	case said.Config.Always:
		return ""
	case replicas > 1:
		return fmt.Sprintf("if all servers lose power at once, what was acknowledged within %s may be lost: set sync_interval to always", said.Config.Interval)
	}
	return fmt.Sprintf("if it loses power, what was acknowledged within %s is lost: set sync_interval to always", said.Config.Interval)
}

func ask(ctx context.Context, address string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
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
