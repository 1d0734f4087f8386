package caddymodule_test

import (
	"strings"
	"testing"
)

func TestCaddyfileReady(t *testing.T) {
	for _, lines := range []string{"token_revocation_ready", "token_revocation_ready /ready", "token_revocation_ready {\n\t}"} {
		_, handler, err := adapt(t, ":8080 {\n\t"+lines+"\n}\n")
		if err != nil || !strings.Contains(handler, `"handler":"token_revocation_ready"`) {
			t.Errorf("%s: %s %v", lines, handler, err)
		}
	}
	for lines, want := range map[string]string{
		"token_revocation_ready /ready again":           `unexpected "again" after token_revocation_ready`,
		"token_revocation_ready {\n\t\ttimeout 1s\n\t}": `token_revocation_ready has no option "timeout"`,
	} {
		if _, _, err := adapt(t, ":8080 {\n\t"+lines+"\n}\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", lines, err, want)
		}
	}
}
