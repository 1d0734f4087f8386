// Package cli is the command "caddy token-revocation": a client of the admin API
// of a running Caddy. It never opens the denylist's file, which that one has
// locked.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes, as the help says.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitRefused  = 3
	exitNotFound = 4
)

const name = "token-revocation"

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      name,
		Usage:     "<command>",
		Short:     "Revokes tokens, takes that back, and shows what is revoked",
		Long:      longHelp,
		CobraFunc: build,
	})
}

const longHelp = `
Revokes tokens and rules in a running Caddy, takes that back, and shows what is
revoked and why.

All of it goes through Caddy's admin endpoint, so that a reload or a restart is
not needed. Which one that is, --address says, or the Caddyfile or other
configuration that --config names; otherwise it is that of "caddy reload".

Tokens are read from standard input or a file, one a line, and never from the
command line: what stands there can be read by every user of the machine, and
stays in the history of the shell.

Exit codes:

  0  done; check: not refused
  1  failed, such as when Caddy cannot be reached; import, export: not complete
  2  wrong usage: nothing was done
  3  check: refused
  4  there is no such record`

const examples = `  $ caddy token-revocation revoke --token-file leaked.txt --reason "in a bug report"
  $ caddy token-revocation revoke --issuer https://idp.example.com --subject bob --dry-run
  $ caddy token-revocation check < token.txt
  $ caddy token-revocation list --kind subject,client
  $ caddy token-revocation restore --id subject:3c59dc048e88`

func build(root *cobra.Command) {
	root.Example = examples
	root.SilenceUsage = true
	flags := root.PersistentFlags()
	flags.String("address", "", "Address of the admin endpoint, if not the default, such as localhost:2019 or unix//run/caddy.sock")
	flags.StringP("config", "c", "", "Configuration to take the address of the admin endpoint from, if --address is not used")
	flags.StringP("adapter", "a", "", "Name of the config adapter to apply (when --config is used)")
	flags.Bool("json", false, "Print what the admin API answers, for machines")
	root.SetFlagErrorFunc(flagError)
	root.RunE = noCommand
	for _, add := range []func() *cobra.Command{
		revokeCommand, restoreCommand, checkCommand, listCommand, statsCommand, exportCommand, importCommand,
	} {
		root.AddCommand(add())
	}
}

// call is one run of a command.
type call struct {
	ctx   context.Context
	flags *pflag.FlagSet
	args  []string
	api   *api
	json  bool
	in    io.Reader
	out   io.Writer
	errs  io.Writer
}

// run makes a command of a function: it ends with the exit code of its error,
// which is said on standard error.
func run(f func(*call) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c := &call{
			ctx: context.Background(), flags: cmd.Flags(), args: args,
			in: cmd.InOrStdin(), out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(),
		}
		return end(cmd, c.do(f))
	}
}

func (c *call) do(f func(*call) error) (err error) {
	if c.json, err = c.flags.GetBool("json"); err != nil {
		return err
	}
	if c.api, err = newAPI(c.text("address"), c.text("config"), c.text("adapter")); err != nil {
		return err
	}
	defer c.api.close()
	return f(c)
}

// interruptible lets a first Ctrl-C end the command in good order; a second ends it
// as it does other commands.
func (c *call) interruptible() (stop func()) {
	ctx, stop := signal.NotifyContext(c.ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	c.ctx = ctx
	return stop
}

// text is the value of a flag that the command has.
func (c *call) text(flag string) string {
	value, err := c.flags.GetString(flag)
	if err != nil {
		panic(err) // a flag that was never declared
	}
	return value
}

// note says something to people, beside the output.
func (c *call) note(format string, args ...any) { _, _ = fmt.Fprintf(c.errs, format+"\n", args...) }

// coded is an error that ends the command with an exit code other than that of a
// failure.
type coded struct {
	code int
	error
}

func (e coded) Unwrap() error { return e.error }

func usage(format string, args ...any) error {
	return coded{exitUsage, fmt.Errorf(format, args...)}
}

// quiet is an outcome of which everything has been said.
func quiet(code int) error { return coded{code, nil} }

// end turns an error into what Caddy ends with.
func end(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	code := exitFailed
	known, is := errors.AsType[coded](err)
	if is {
		code = known.code
	}
	if !is || known.error != nil {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
	}
	if code == exitUsage {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "See '%s --help'.\n", cmd.CommandPath())
	}
	cmd.SilenceErrors = true
	if code == exitFailed {
		return err
	}
	// Caddy's own way to end with another code than 1.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return end(cmd, errors.Join(cmd.Help(), quiet(exitUsage)))
	}
	return end(cmd, usage("%s is none of the commands; %w", shown(args[0]), errArgument))
}

// errArgument says why arguments are not taken. It does not repeat them: one may
// be a token.
var errArgument = errors.New("tokens are read from standard input or --token-file, because arguments can be read by every user of the machine and stay in the history of the shell")

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return end(cmd, usage("arguments are not taken; %w", errArgument))
}

// atMostOne refuses more than one argument.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return end(cmd, usage("at most one file can be given"))
}

var word = regexp.MustCompile(`^-{0,2}[a-z][a-z-]{0,19}$`)

// shown is an argument as it may be repeated: a word, or nothing of it.
func shown(argument string) string {
	if word.MatchString(argument) {
		return fmt.Sprintf("%q", argument)
	}
	return "the argument"
}

// flagError says what is wrong with the flags, without what may be a token.
func flagError(cmd *cobra.Command, err error) error {
	switch known := err.(type) {
	case *pflag.NotExistError:
		if word.MatchString(known.GetSpecifiedName()) && known.GetSpecifiedShortnames() == "" {
			return end(cmd, usage("there is no flag --%s", known.GetSpecifiedName()))
		}
		return end(cmd, usage("there is no such flag"))
	case *pflag.ValueRequiredError:
		return end(cmd, usage("the flag --%s needs a value", known.GetFlag().Name))
	case *pflag.InvalidValueError:
		return end(cmd, usage("the value of the flag --%s cannot be read", known.GetFlag().Name))
	}
	return end(cmd, usage("the flags cannot be read"))
}
