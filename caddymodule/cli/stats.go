package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

func statsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Counts the records, and says how the store and the cluster are",
		Long: `
Counts the live records by kind, and says how the store and the cluster are and
whether this Caddy is ready. With --json, it prints {"stats":…,"sync":…} with what the admin
API answers to both.`,
		Example: `  $ caddy token-revocation stats`,
		Args:    noArguments,
		RunE:    run((*call).stats),
	}
}

type stats struct {
	Records    map[string]int `json:"records"`
	IndexBytes uint64         `json:"index_bytes"`
	Cache      struct {
		Hits   uint64 `json:"hits"`
		Misses uint64 `json:"misses"`
	} `json:"cache"`
}

type syncState struct {
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons"`
	Degraded []string `json:"degraded"`
	Store    struct {
		Resource  string     `json:"resource"`
		Reachable bool       `json:"reachable"`
		LastWrite *time.Time `json:"last_write"`
		LastError string     `json:"last_error"`
	} `json:"store"`
	Cluster *operator.Cluster `json:"cluster"`
}

func (c *call) stats() error {
	var counted stats
	rawStats, err := c.api.get(c.ctx, "stats", nil, &counted)
	if err != nil {
		return c.api.explained(c.ctx, err)
	}
	var state syncState
	rawSync, err := c.api.get(c.ctx, "sync", nil, &state)
	if err != nil {
		return c.api.explained(c.ctx, err)
	}
	if counted.Records == nil {
		return errNonsense
	}
	if c.json {
		return json.NewEncoder(c.out).Encode(map[string]json.RawMessage{"stats": rawStats, "sync": rawSync})
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, row := range append(state.rows(), counted.rows()...) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	return w.Flush()
}

func (s *syncState) rows() [][2]string {
	ready, reachable := "yes", "reachable"
	if !s.Ready {
		ready = "no: " + plain(strings.Join(s.Reasons, "; "))
	}
	if !s.Store.Reachable {
		reachable = "not reachable"
	}
	rows := [][2]string{{"ready", ready}}
	if len(s.Degraded) > 0 {
		rows = append(rows, [2]string{"degraded", plain(strings.Join(s.Degraded, "; "))})
	}
	rows = append(rows, [2]string{"store", plain(s.Store.Resource) + ", " + reachable})
	if s.Store.LastWrite != nil {
		rows = append(rows, [2]string{"last write", instant(*s.Store.LastWrite)})
	}
	if s.Store.LastError != "" {
		rows = append(rows, [2]string{"last error", plain(s.Store.LastError)})
	}
	if s.Cluster != nil {
		rows = append(rows, clusterRows(s.Cluster)...)
	}
	return rows
}

// kindOrder is the order in which kinds are shown, as in their keys.
var kindOrder = []string{"token", "used", "session", "jti", "subject", "client", "key", "issuer"}

func (s *stats) rows() (rows [][2]string) {
	for _, kind := range kindOrder {
		rows = append(rows, [2]string{"records: " + kind, humanize.Comma(int64(s.Records[kind]))})
	}
	var others []string
	for kind := range s.Records {
		if !slices.Contains(kindOrder, kind) {
			others = append(others, kind)
		}
	}
	slices.Sort(others)
	for _, kind := range others {
		rows = append(rows, [2]string{"records: " + plain(kind), humanize.Comma(int64(s.Records[kind]))})
	}
	return append(rows,
		[2]string{"index", humanize.IBytes(s.IndexBytes)},
		[2]string{"cache", fmt.Sprintf("%s hits, %s misses", humanize.Comma(int64(s.Cache.Hits)), humanize.Comma(int64(s.Cache.Misses)))},
	)
}
