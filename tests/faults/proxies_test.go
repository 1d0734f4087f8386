package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxies are the ways from gateways to servers, and from servers to servers.
type proxies struct {
	*system
	server *toxiproxy.ApiServer
}

func newProxies(s *system) *proxies {
	return &proxies{s, toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// way is one of them.
type way struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
	toxic int
	names []string // of the toxics that are in it
}

// to opens a way to a port.
func (p *proxies) to(name string, port int) *way {
	p.t.Helper()
	proxy := toxiproxy.NewProxy(p.server, name, local(0), local(port))
	if err := proxy.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.close = append(p.close, proxy.Stop)
	return &way{t: p.t, proxy: proxy}
}

// Directions of a way, as seen from whoever has connected.
const (
	out  = "upstream"
	back = "downstream"
)

// spoil puts something into a way, in one direction.
func (w *way) spoil(kind, direction string, attributes map[string]int) {
	w.toxic++
	name := fmt.Sprint(kind, w.toxic)
	text, err := json.Marshal(map[string]any{"name": name, "type": kind, "stream": direction, "toxicity": 1, "attributes": attributes})
	if err == nil {
		_, err = w.proxy.Toxics.AddToxicJson(bytes.NewReader(text))
	}
	if err != nil {
		w.t.Errorf("%s: %v", kind, err)
		return
	}
	w.names = append(w.names, name)
}

// mend takes everything out again.
func (w *way) mend() {
	for _, name := range w.names {
		if err := w.proxy.Toxics.RemoveToxic(context.Background(), name); err != nil {
			w.t.Error(err)
		}
	}
	w.names = nil
}
