package caddymodule

import (
	"strings"
	"testing"
)

// What is wrong with a URL is said without the password in it.
func TestURLWithPassword(t *testing.T) {
	for _, url := range []string{
		"https://me:hunter2@idp.example", "me:hunter2@idp.example", "ftp://me:hunter2@idp.example", "https://me:hunter2 @idp.example", "http://me:hunter2@[::1/", "https://me:hunter2@",
	} {
		if err := checkURL(url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
