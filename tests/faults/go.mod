module github.com/caddy-token-revocation/caddy-token-revocation/tests/faults

go 1.26.0
