// Command withevents is the Caddy under test with handlers of events, of which
// Caddy's standard modules have none.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-token-revocation/caddy-token-revocation/caddymodule"
)

func main() {
	caddy.RegisterModule(new(execute))
	caddy.RegisterModule(new(write))
	caddy.RegisterModule(new(misbehave))
	caddycmd.Main()
}

// execute runs a command and waits for it. It takes what the handler `exec` of
// the module caddy-events-exec takes.
type execute struct {
	Args []string `json:"args"`
}

func (*execute) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.exec", New: func() caddy.Module { return new(execute) }}
}

func (h *execute) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if h.Args = d.RemainingArgs(); len(h.Args) == 0 {
		return d.ArgErr()
	}
	return nil
}

func (h *execute) Handle(ctx context.Context, _ caddy.Event) error {
	replacer := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	args := make([]string, len(h.Args))
	for i := range h.Args {
		args[i] = replacer.ReplaceAll(h.Args[i], "")
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// write adds a line with each event to a file.
type write struct {
	File string `json:"file"`
}

func (*write) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.write", New: func() caddy.Module { return new(write) }}
}

func (h *write) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&h.File) {
		return d.ArgErr()
	}
	return nil
}

func (h *write) Handle(_ context.Context, e caddy.Event) error {
	line, err := json.Marshal(map[string]any{"name": e.Name(), "origin": e.Origin().CaddyModule().ID, "data": e.Data})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(h.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Close())
}

// misbehave does what a handler should not.
type misbehave struct {
	How string `json:"how"`
}

func (*misbehave) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.misbehave", New: func() caddy.Module { return new(misbehave) }}
}

func (h *misbehave) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&h.How) {
		return d.ArgErr()
	}
	return nil
}

func (h *misbehave) Handle(context.Context, caddy.Event) error {
	switch h.How {
	case "panic":
		panic("a handler that panics")
	case "abort":
		return caddy.ErrEventAborted
	case "fail":
		return errors.New("a handler that fails")
	case "hang":
		select {}
	}
	return nil
}
