package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--token-file <file>] | --id <id> | --issuer <iss> [--jti|--session|--subject|--client|--key <value>]",
		Short: "Says whether a token is refused, by which record, and why",
		Long: `
Says whether tokens, or what a rule is about, are refused by this Caddy: by
which records, since when and until when, and why others do not refuse them. It
ends with 3 if one of them is refused, and with 0 if none is.`,
		Example: `  $ caddy token-revocation check < token.txt
  $ caddy token-revocation check --issuer https://idp.example.com --subject bob`,
		Args: noArguments,
		RunE: run((*call).check),
	}
	targetFlags(cmd.Flags())
	return cmd
}

// explanation is what the admin API says about one target.
type explanation struct {
	Refused  bool       `json:"refused"`
	Until    *time.Time `json:"until"`
	IssuedAt *time.Time `json:"issued_at"`
	Matches  []struct {
		Record  operator.Record `json:"record"`
		Refuses bool            `json:"refuses"`
		Why     string          `json:"why"`
	} `json:"matches"`
}

func (c *call) check() error {
	refused, left := false, outcome{}
	err := c.each(func(line int, t target) error {
		var found explanation
		raw, err := c.api.post(c.ctx, "explain", t, &found)
		if err != nil {
			return left.about(c, line, err)
		}
		if found.Matches == nil {
			return prefixed(line, errNonsense)
		}
		refused = refused || found.Refused
		if c.json {
			_, err = fmt.Fprintf(c.out, "%s\n", raw)
			return err
		}
		return found.print(c, line)
	})
	if err = left.end(err); err == nil && refused {
		return quiet(exitRefused)
	}
	return err
}

func (e *explanation) print(c *call, line int) error {
	verdict := "not refused"
	if e.Refused {
		verdict = "refused"
		if e.Until != nil {
			verdict += " until " + instant(*e.Until)
		}
	}
	if e.IssuedAt != nil {
		verdict += ", issued at " + instant(*e.IssuedAt)
	}
	if _, err := fmt.Fprintf(c.out, "%s%s\n", lineOf(line), verdict); err != nil {
		return err
	}
	shown := table{w: c.out}
	for i := range e.Matches {
		match := &e.Matches[i]
		if err := shown.add(&match.Record); err != nil {
			return err
		}
		effect := "passes"
		if match.Refuses {
			effect = "refuses"
		}
		if _, err := fmt.Fprintf(c.out, "  %s: %s\n", effect, plain(match.Why)); err != nil {
			return err
		}
	}
	return nil
}
