package caddymodule

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// options reads a block: one option after the other, each but the repeatable
// ones at most once, since one of two would be ignored. No argument may stand
// before the block.
func options(d *caddyfile.Dispenser, unmarshal func(*caddyfile.Dispenser) error, repeatable ...string) error {
	name := d.Val()
	if d.NextArg() {
		return d.Errf("unexpected %q after %s", d.Val(), name)
	}
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] && !slices.Contains(repeatable, option) {
			return d.Errf("%s is there twice", option)
		}
		seen[option] = true
		if err := unmarshal(d); err != nil {
			return err
		}
	}
	return nil
}

// one is the only argument of an option.
func one(d *caddyfile.Dispenser) (string, error) {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return "", d.Errf("%s takes one argument, not %d", option, len(args))
	}
	if args[0] == "" {
		return "", d.Errf("the argument of %s is empty", option)
	}
	return args[0], nil
}

// some are the arguments of an option, at least one.
func some(d *caddyfile.Dispenser) ([]string, error) {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.Errf("%s takes at least one argument", option)
	}
	if slices.Contains(args, "") {
		return nil, d.Errf("an argument of %s is empty", option)
	}
	return args, nil
}

// positive is a duration of more than 0.
func positive(d *caddyfile.Dispenser) (caddy.Duration, error) {
	option := d.Val()
	parsed, err := duration(d)
	if err == nil && parsed <= 0 {
		err = d.Errf("%s must be more than 0, not %s", option, d.Val())
	}
	return parsed, err
}

func atLeastOne(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a number from 1 on", s)
	}
	return n, nil
}

func duration(d *caddyfile.Dispenser) (caddy.Duration, error) {
	option := d.Val()
	text, err := one(d)
	if err != nil {
		return 0, err
	}
	parsed, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, d.Errf("%s: %q is not a duration, such as 60s or 720h", option, text)
	}
	return caddy.Duration(parsed), nil
}

func size(d *caddyfile.Dispenser) (int64, error) {
	option := d.Val()
	text, err := one(d)
	if err != nil {
		return 0, err
	}
	return parseSize(d, option, text)
}

func parseSize(d *caddyfile.Dispenser, what, text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<62 {
		return 0, d.Errf("%s: %q is not a size, such as 64KiB or 32MiB", what, text)
	}
	return int64(n), nil
}

// checked is an argument that passes a check.
func checked(d *caddyfile.Dispenser, check func(string) error) (string, error) {
	text, err := one(d)
	if err == nil {
		if err = check(text); err != nil {
			err = d.WrapErr(err)
		}
	}
	return text, err
}

// choice is an argument that is one of a few words; later are those that a
// later version will know.
func choice(d *caddyfile.Dispenser, now []string, later ...string) (string, error) {
	option := d.Val()
	word, err := one(d)
	if err != nil {
		return "", err
	}
	for _, known := range now {
		if word == known {
			return word, nil
		}
	}
	for _, known := range later {
		if word == known {
			return "", d.Errf("%s %s is not supported by this version", option, word)
		}
	}
	return "", d.Errf("%s has no choice %q", option, word)
}

// two are the only arguments of an option.
func two(d *caddyfile.Dispenser, first, second *string) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) != 2 || args[0] == "" || args[1] == "" {
		return d.Errf("%s takes two arguments", option)
	}
	*first, *second = args[0], args[1]
	return nil
}
