//go:build race

package modules

// The Caddys that fail are built with the race detector where the tests are.
var flags = []string{"-faults.race"}
