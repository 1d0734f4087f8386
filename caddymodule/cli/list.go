package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [<flags>]",
		Short: "Lists the records of the denylist",
		Long: `
Lists the records of the denylist, in the order of their ids, as they are read:
all of them unless --limit says how many. What is listed has all the properties
that the flags name.`,
		Example: `  $ caddy token-revocation list --kind subject,client,key,issuer
  $ caddy token-revocation list --since "1h ago" --json
  $ caddy token-revocation list --effect count`,
		Args: noArguments,
		RunE: run((*call).list),
	}
	flags := cmd.Flags()
	for _, f := range listFlags {
		flags.String(f.flag, "", f.what)
	}
	flags.Uint("limit", 0, "How many records to list; 0 is all")
	return cmd
}

// listFlags are the filters, and their names in the admin API.
var listFlags = []struct{ flag, query, what string }{
	{"kind", "kind", "Kinds, with commas: token, session, jti, subject, client, key, issuer, used"},
	{"issuer", "issuer", "The issuer of a rule"},
	{"value", "value", "The value of a rule, such as a subject"},
	{"by", "client", "The client or the operator who revoked it"},
	{"effect", "effect", "refuse, count (dry runs) or restored"},
	{"since", "since", "Revoked at or after this time"},
	{"until", "until", "Revoked before this time"},
	{"after", "after", "Begin after the record with this id"},
}

const maxPage = 1000

func (c *call) list() error {
	query := url.Values{}
	for _, f := range listFlags {
		given, err := c.given(f.flag)
		if err != nil {
			return err
		}
		if len(given) > 0 {
			query.Set(f.query, c.text(f.flag))
		}
	}
	limit, err := c.flags.GetUint("limit")
	if err != nil {
		return err
	}
	shown := table{w: c.out}
	for listed := uint(0); ; {
		page := uint(maxPage)
		if limit > 0 {
			page = min(page, limit-listed)
		}
		query.Set("limit", strconv.FormatUint(uint64(page), 10))
		var answer struct {
			Records []json.RawMessage `json:"records"`
			Next    string            `json:"next"`
		}
		if _, err := c.api.get(c.ctx, "records", query, &answer); err != nil {
			return c.api.explained(c.ctx, err)
		}
		if answer.Records == nil {
			return errNonsense
		}
		for _, raw := range answer.Records {
			if err := c.listed(&shown, raw); err != nil {
				return err
			}
		}
		listed += uint(len(answer.Records))
		if answer.Next == "" || limit > 0 && listed >= limit {
			return nil
		}
		if answer.Next == query.Get("after") {
			return fmt.Errorf("the admin API does not get beyond %s", shortID(answer.Next))
		}
		query.Set("after", answer.Next)
	}
}

func (c *call) listed(shown *table, raw json.RawMessage) error {
	if c.json {
		_, err := fmt.Fprintf(c.out, "%s\n", raw)
		return err
	}
	var r operator.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	return shown.add(&r)
}
