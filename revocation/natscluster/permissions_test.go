package natscluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// These are all permissions that a gateway needs; docs/cluster.md lists them.
var (
	mayPublish = []string{
		"token_revocation.records",
		"token_revocation.beat.*",
		"$JS.API.STREAM.INFO.TOKEN_REVOCATION",
		"$JS.API.STREAM.MSG.GET.TOKEN_REVOCATION",
		"$JS.API.CONSUMER.CREATE.TOKEN_REVOCATION.*",
		"$JS.API.CONSUMER.MSG.NEXT.TOKEN_REVOCATION.*",
		"$JS.API.CONSUMER.DELETE.TOKEN_REVOCATION.*",
	}
	maySubscribe = []string{"_INBOX.>"}
	// mayCreate is needed besides only if the stream is not there.
	mayCreate = "$JS.API.STREAM.CREATE.TOKEN_REVOCATION"
)

// permitted starts a server with a user who may do nothing else.
func permitted(t *testing.T, publish, subscribe []string, made bool) (*server.Server, Config) {
	t.Helper()
	s := configured(t, "", users(publish, subscribe))
	if made {
		makeStream(t, "nats://admin:admin@"+s.Addr().String())
	}
	return s, Config{URLs: []string{address(s)}, Options: []nats.Option{nats.UserInfo("gateway", "gateway")}}
}

func users(publish, subscribe []string) string {
	list := func(subjects []string) string { return `["` + strings.Join(subjects, `", "`) + `"]` }
	return fmt.Sprintf(`authorization { users: [
		{ user: admin, password: admin }
		{ user: gateway, password: gateway, permissions: { publish: %s, subscribe: %s } }
	] }`, list(publish), list(subscribe))
}

// makeStream makes the stream as an operator would.
func makeStream(t *testing.T, url string) {
	t.Helper()
	_, err := operator(t, url).CreateStream(t.Context(), jetstream.StreamConfig{
		Name: DefaultStream, Subjects: []string{DefaultPrefix + ".>"}, Discard: jetstream.DiscardNew, AllowMsgTTL: true,
		DenyDelete: true, DenyPurge: true,
		AllowDirect: true, // which asks for no permission more
	})
	check(t, err)
}

// works says what does not, of all that a gateway does: "" if all does.
func works(t *testing.T, s *server.Server, c Config) (broken string) {
	n := newNode(t, c)
	var state string
	refused := func() bool {
		state = n.State().Lost
		return strings.Contains(strings.ToLower(state), "permissions violation")
	}
	eventually(t, "the node is level or told why not", func() bool { return n.State().Level || refused() })
	if !n.State().Level {
		return state
	}
	if err := n.tryRevoke(record(1)); err != nil {
		return err.Error()
	}
	eventually(t, "a cursor is kept", func() bool { c, err := n.list.Cursor(); return err == nil && c != nil })
	syncs := n.State().Syncs
	check(t, n.engine.conn.Load().ForceReconnect())
	eventually(t, "the node goes on from its cursor, or is told why not", func() bool {
		s := n.State()
		return s.Level && s.Syncs > syncs || refused()
	})
	if !n.State().Level {
		return state
	}
	if err := n.Close(); err != nil {
		return err.Error()
	}
	info, err := s.Jsz(nil)
	check(t, err)
	if info.Consumers > 1 { // that of the connection that was cut is forgotten in time
		return "the consumer is still there"
	}
	return ""
}

// A gateway works with these permissions, and with one less it does not, and says
// what it lacks.
func TestPermissions(t *testing.T) {
	t.Parallel()
	t.Run("exactly", func(t *testing.T) {
		t.Parallel()
		s, c := permitted(t, mayPublish, maySubscribe, true)
		if broken := works(t, s, c); broken != "" {
			t.Error(broken)
		}
	})
	t.Run("exactly, making the stream", func(t *testing.T) {
		t.Parallel()
		s, c := permitted(t, append(slices.Clone(mayPublish), mayCreate), maySubscribe, false)
		if broken := works(t, s, c); broken != "" {
			t.Error(broken)
		}
	})
	t.Run("exactly, at a leaf node", func(t *testing.T) {
		t.Parallel()
		var publish []string
		for _, subject := range mayPublish {
			publish = append(publish, strings.Replace(subject, "$JS.API", "$JS.hub.API", 1))
		}
		port := freePorts(t, 1)[0]
		hub := configured(t, "hub", fmt.Sprintf("server_name: hub\nleafnodes { listen: \"127.0.0.1:%d\" }", port))
		makeStream(t, address(hub))
		leaf := configured(t, "leaf", fmt.Sprintf("server_name: leaf\nleafnodes { remotes: [{ url: \"nats://127.0.0.1:%d\" }] }\n", port)+users(publish, maySubscribe))
		c := Config{URLs: []string{address(leaf)}, Options: []nats.Option{nats.UserInfo("gateway", "gateway")}, Domain: "hub"}
		if broken := works(t, hub, c); broken != "" {
			t.Error(broken)
		}
	})
	t.Run("not making the stream", func(t *testing.T) {
		t.Parallel()
		s, c := permitted(t, mayPublish, maySubscribe, false)
		if broken := works(t, s, c); !strings.Contains(broken, mayCreate) {
			t.Errorf("what does not work is %q", broken)
		}
	})
	t.Run("without "+maySubscribe[0], func(t *testing.T) {
		t.Parallel()
		s, c := permitted(t, mayPublish, []string{"other"}, true)
		if broken := works(t, s, c); !strings.Contains(broken, "_INBOX.") {
			t.Errorf("what does not work is %q", broken)
		}
	})
	for i, lacking := range mayPublish {
		t.Run("without "+lacking, func(t *testing.T) {
			t.Parallel()
			s, c := permitted(t, slices.Delete(slices.Clone(mayPublish), i, i+1), maySubscribe, true)
			want := strings.TrimSuffix(lacking, "*")
			if strings.Contains(lacking, "DELETE") { // the node has gone by then
				want = "consumer"
			}
			if broken := works(t, s, c); !strings.Contains(broken, want) {
				t.Errorf("what does not work is %q", broken)
			}
		})
	}
}
