package tests

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const adminPageFile = "../docs/admin-api.md"

// Every command of the page is run, in their order, against the configuration of
// the page, and answers what stands behind it.
func TestAdminPage(t *testing.T) {
	c, texts := newPageCaddy(t)
	work := t.TempDir()
	encode := base64.RawURLEncoding.EncodeToString
	const claims = `{"iss":"https://idp.example.com","sub":"bob","client_id":"mobile-app","iat":1700000000}`
	write(t, filepath.Join(work, "token"), "17|alpha\n")
	write(t, filepath.Join(work, "jwt"), encode([]byte(`{"alg":"ES256","kid":"2026-11"}`))+"."+encode([]byte(claims))+".YQ\n")
	commands := 0
	for _, section := range readDoc(t, adminPageFile, "caddyfile", "sh", "json", "text") {
		for i, block := range section.blocks {
			switch block.language {
			case "caddyfile":
				c.launch(texts.Replace(block.text))
				if strings.Contains(c.logs.String(), "not formatted") {
					t.Error("the Caddyfile is not formatted")
				}
			case "sh":
				if i+1 == len(section.blocks) || section.blocks[i+1].language == "sh" {
					t.Fatalf("%s:%d: a command without its answer", adminPageFile, block.line)
				}
				commands++
				compareDoc(t, &section.blocks[i+1], runDoc(t, work, texts.Replace(block.text), &block))
			}
		}
	}
	if commands < 15 {
		t.Errorf("%d commands", commands)
	}
}

// runDoc runs a command of the page and returns what it prints.
func runDoc(t *testing.T, dir, text string, block *docBlock) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", text)
	cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s:%d: %v\n%s", adminPageFile, block.line, err, out)
	}
	return string(out)
}

// compareDoc compares texts and JSON, one after the other.
func compareDoc(t *testing.T, block *docBlock, out string) {
	t.Helper()
	got, want := docValues(t, out), docValues(t, block.text)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:%d: the answer is\n%s\nwhich is\n%v, want\n%v", adminPageFile, block.line, out, got, want)
	}
}

// docValues are the JSON values in a text, without what differs from run to run.
func docValues(t *testing.T, text string) (values []any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var value any
		if err := d.Decode(&value); err != nil {
			t.Errorf("%s: %v", text, err)
			return nil
		}
		values = append(values, steady("", value))
	}
	if len(values) == 0 {
		t.Errorf("%q is no answer", text)
	}
	return values
}

// steady replaces times, and what depends on the machine, by what they are.
func steady(name string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = steady(name, v[name])
		}
	case []any:
		for i := range v {
			v[i] = steady(name, v[i])
		}
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			if at.Year() == 2023 { // of a token, which is always the same
				return v
			}
			return "a time"
		}
		switch name {
		case "version", "caddy", "resource":
			return "some " + name
		}
	case float64:
		switch name {
		case "index_bytes", "seconds", "hits", "misses": // the cache may forget at any time
			return fmt.Sprint("some ", name)
		}
	}
	return value
}
