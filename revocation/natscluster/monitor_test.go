package natscluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// A server that syncs late is warned about, as is one that does not say.
func TestSyncInterval(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		always bool
		path   string
		want   string
	}{
		"always": {always: true},
		"late":   {want: "within 2m0s is lost: set sync_interval to always"},
		"silent": {path: "/nothing", want: "did not say"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, func(o *server.Options) { o.SyncAlways, o.HTTPHost, o.HTTPPort = c.always, "127.0.0.1", -1 })
			config := p.config()
			config.Monitor = []string{fmt.Sprintf("http://secret@%s%s", p.server.MonitorAddr(), c.path)}
			config.Monitor = append(config.Monitor, "http://"+blackHole(t, true)) // for the others wait until it has been asked
			n := levelNode(t, config)                                             // which does not wait
			var warnings []string
			eventually(t, "servers are asked", func() bool { warnings = n.State().Warnings; return len(warnings) > 0 })
			said := warnings[0]
			if c.want != "" && (len(warnings) != 2 || !strings.Contains(said, c.want)) || c.want == "" && len(warnings) != 1 {
				t.Errorf("the warnings are %q; want %q", warnings, c.want)
			}
			if strings.Contains(fmt.Sprint(warnings), "secret") {
				t.Errorf("a secret is in %q", warnings)
			}
		})
	}
}
