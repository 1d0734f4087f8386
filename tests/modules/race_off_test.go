//go:build !race

package modules

var flags []string
