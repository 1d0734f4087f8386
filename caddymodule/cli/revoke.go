package cli

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/caddy-token-revocation/caddy-token-revocation/revocation/operator"
)

func revokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke [--token-file <file>] | --id <id> | --issuer <iss> [--jti|--session|--subject|--client|--key <value>]",
		Short: "Revokes tokens, or all tokens that a rule is about",
		Long: `
Revokes the tokens on standard input or in a file, or all tokens that a rule is
about. When it ends with 0, that is durable and enforced: every request that
begins later is refused. What is revoked already is extended.

A rule by subject, client, key or issuer is about the tokens that were issued at
or before a time, --issued-before, which is now unless given, and about those
that do not say when they were issued. Times are RFC 3339, Unix seconds, "now",
"5m ago" or "in 2h".

With --dry-run a rule only counts what it would refuse, which "list" shows. With
--id, a dry run starts to refuse, and so does what was restored.`,
		Example: `  $ caddy token-revocation revoke --token-file leaked.txt --reason "in a bug report"
  $ caddy token-revocation revoke --issuer https://idp.example.com --session 08a5019c --reason "laptop stolen"
  $ caddy token-revocation revoke --issuer https://idp.example.com --key 2026-01 --issued-before "in 24h"
  $ caddy token-revocation revoke --issuer https://idp.example.com --client reports --dry-run
  $ caddy token-revocation revoke --id client:6f3249aa3040`,
		Args: noArguments,
		RunE: run((*call).revoke),
	}
	flags := cmd.Flags()
	targetFlags(flags)
	flags.String("issued-before", "", "Revoke tokens issued at or before this time (subject, client, key, issuer; default: now)")
	flags.String("expires", "", "Until when it matters (default: as long as such tokens can live)")
	flags.Bool("dry-run", false, "Only count the requests that would be refused")
	decisionFlags(cmd)
	return cmd
}

func restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore [--token-file <file>] | --id <id> | --issuer <iss> [--jti|--session|--subject|--client|--key <value>]",
		Short: "Takes a revocation or a dry run back",
		Long: `
Takes the revocation of tokens, or a rule or a dry run, back: the tokens pass
again, as far as nothing else revokes them. It ends with 4 if there is no such
record.`,
		Example: `  $ caddy token-revocation restore --id subject:3c59dc048e88 --reason "it was another bob"
  $ caddy token-revocation restore --token-file mistake.txt`,
		Args: noArguments,
		RunE: run((*call).restore),
	}
	targetFlags(cmd.Flags())
	decisionFlags(cmd)
	return cmd
}

func decisionFlags(cmd *cobra.Command) {
	cmd.Flags().String("by", "", "Who decided it (default: the name of the user who runs this)")
	cmd.Flags().String("reason", "", "Why, for people")
}

// decision is what is asked for.
type decision struct {
	target
	IssuedBefore string `json:"issued_before,omitempty"`
	Expires      string `json:"expires,omitempty"`
	DryRun       bool   `json:"dry_run,omitempty"`
	By           string `json:"by,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

func (c *call) revoke() error {
	if _, err := c.given("issued-before", "expires"); err != nil {
		return err
	}
	dry, err := c.flags.GetBool("dry-run")
	if err != nil {
		return err
	}
	return c.decide("revoke", decision{IssuedBefore: c.text("issued-before"), Expires: c.text("expires"), DryRun: dry})
}

func (c *call) restore() error { return c.decide("restore", decision{}) }

// decide asks for a decision about each target. What cannot be done about one
// token does not keep the others waiting.
func (c *call) decide(path string, d decision) error {
	if _, err := c.given("by", "reason"); err != nil {
		return err
	}
	d.By, d.Reason = c.by(), c.text("reason")
	shown, left := table{w: c.out}, outcome{}
	err := c.each(func(line int, t target) error {
		d.target = t
		var answer struct {
			Records []operator.Record `json:"records"`
		}
		raw, err := c.api.post(c.ctx, path, d, &answer)
		if err != nil {
			return left.about(c, line, err)
		}
		if answer.Records == nil {
			return prefixed(line, errNonsense)
		}
		if c.json {
			_, err = fmt.Fprintf(c.out, "%s\n", raw)
			return err
		}
		for i := range answer.Records {
			if err := shown.add(&answer.Records[i]); err != nil {
				return err
			}
		}
		if len(answer.Records) == 0 {
			c.note("%sit has ended already, and nothing was stored", lineOf(line))
		}
		return nil
	})
	return left.end(err)
}

// outcome gathers what could not be done about some of several tokens.
type outcome struct{ code int }

// about notes an error about the token of a line. It returns the error if there is
// no use in going on with the others.
func (o *outcome) about(c *call, line int, err error) error {
	err = c.api.explained(c.ctx, err)
	var refused *refusal
	if line == 0 || !errors.As(err, &refused) || refused.status >= http.StatusInternalServerError {
		return prefixed(line, err)
	}
	code := exitFailed // also for what would be wrong usage: something may be done
	if known, is := errors.AsType[coded](err); is && known.code == exitNotFound {
		code = exitNotFound
	}
	if o.code == 0 || code == exitFailed {
		o.code = code
	}
	c.note("Error: %s%v", lineOf(line), err)
	return nil
}

func (o *outcome) end(err error) error {
	if err != nil || o.code == 0 {
		return err
	}
	return quiet(o.code)
}

func prefixed(line int, err error) error {
	if line == 0 {
		return err
	}
	return fmt.Errorf("%s%w", lineOf(line), err)
}

// lineOf names the line of a token, in front of what is said about it.
func lineOf(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("line %d: ", line)
}

// by is who runs the command, who may have become root for it.
func (c *call) by() string {
	if by := c.text("by"); by != "" {
		return by
	}
	if name := os.Getenv("SUDO_USER"); name != "" && os.Geteuid() == 0 {
		return name
	}
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return os.Getenv("USER")
}
