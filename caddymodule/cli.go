package caddymodule

// Whoever builds this module into Caddy also gets the command of operators.
import _ "github.com/caddy-token-revocation/caddy-token-revocation/caddymodule/cli"
