// Command caddy is Caddy with its standard modules and token revocation: what
// xcaddy would build, for development and tests.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-token-revocation/caddy-token-revocation/caddymodule"
)

func main() { caddycmd.Main() }
