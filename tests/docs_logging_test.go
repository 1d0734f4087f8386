package tests

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// logPage is a Caddy that runs an example of docs/logging.md.
type logPage struct {
	*caddy
	collector *traceCollector
	texts     *strings.Replacer // what the page says becomes what there is
	volatile  *regexp.Regexp    // what differs each time
}

// Every Caddyfile of the page runs, and every command prints what stands there.
func TestLoggingPage(t *testing.T) {
	t.Setenv("BACKEND_SECRET", "backend-secret")
	collector := newTraceCollector(t)
	ran := 0
	for _, section := range readDoc(t, "../docs/logging.md", "caddyfile", "console", "sh") {
		if len(section.blocks) == 0 {
			continue
		}
		ran++
		t.Run(section.heading, func(t *testing.T) {
			p := newLogPage(t, collector)
			for _, block := range section.of("sh") {
				p.environment(t, block)
			}
			if len(section.of("caddyfile")) != 1 {
				t.Fatal("not one Caddyfile")
			}
			for _, block := range section.blocks {
				switch block.language {
				case "caddyfile":
					p.serve(block.text)
				case "console":
					p.run(t, block)
				}
			}
			if strings.Contains(section.heading, "Traces") {
				p.traces(t)
			}
		})
	}
	if ran != 5 {
		t.Errorf("%d sections with examples", ran)
	}
}

func newLogPage(t *testing.T, collector *traceCollector) *logPage {
	c := eventsCaddy(t)
	log := t.TempDir() + "/"
	return &logPage{
		caddy: c, collector: collector,
		texts: strings.NewReplacer(
			"https://api.example.com", c.url, "api.example.com {", c.url+" {", "localhost:8081", "localhost:"+freePort(t),
			"localhost:2019", c.admin, "localhost:9000", c.names.Replace("UPSTREAM"), "/var/log/caddy/", log,
			"http://localhost:4318", collector.URL,
		),
		volatile: regexp.MustCompile(`"ts":[0-9.]+|[0-9-]{10}T[0-9:.]{8,12}Z|"client_ip":"[0-9a-f:.]+"|"uuid":"[0-9a-f-]{36}"|(?m)^Date: .*$`),
	}
}

// environment takes what the shell is to export.
func (p *logPage) environment(t *testing.T, block docBlock) {
	for line := range strings.Lines(p.texts.Replace(block.text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok {
			t.Fatalf("line %d: %q", block.line, line)
		}
		t.Setenv(name, value)
	}
}

func (p *logPage) serve(caddyfile string) {
	p.launch(strings.Replace(p.texts.Replace(caddyfile), "{\n", "{\n\tadmin ADMIN\n\tauto_https off\n", 1))
}

// run runs the commands of a block, of which each has a line that begins with $.
func (p *logPage) run(t *testing.T, block docBlock) {
	t.Helper()
	for i, step := range strings.Split("\n"+block.text, "\n$ ") {
		command, want, _ := strings.Cut(step, "\n")
		if i == 0 {
			if step != "" {
				t.Errorf("line %d: output of no command", block.line)
			}
			continue
		}
		want = strings.TrimSuffix(want, "\n")
		try := func() error {
			cmd := exec.Command("sh", "-c", p.texts.Replace(command))
			var failed bytes.Buffer
			cmd.Stderr = &failed
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", command, err, &failed)
			}
			got := strings.TrimSuffix(strings.ReplaceAll(string(out), "\r", ""), "\n")
			if hidden := p.hide(got); strings.TrimSpace(hidden) != strings.TrimSpace(p.hide(want)) {
				return fmt.Errorf("%s\nprints:\n%s\nbut the page says:\n%s", command, got, want)
			}
			return nil
		}
		if strings.HasPrefix(command, "curl ") {
			if err := try(); err != nil {
				t.Error(err)
			}
			continue
		}
		eventually(t, try) // a file may be a moment behind
	}
}

func (p *logPage) hide(s string) string { return p.volatile.ReplaceAllString(s, "…") }

// traces checks that the spans have come, with the attributes of the page.
func (p *logPage) traces(t *testing.T) {
	page, err := os.ReadFile("../docs/logging.md")
	if err != nil {
		t.Fatal(err)
	}
	p.collector.wants(t, "/", map[string]string{"reason": "revoked", "kind": "token", "digest": auditDigest("17|alpha")})
	span := p.collector.wants(t, "/token/revocation", map[string]string{
		"way": "endpoint", "client": "backend", "changed.kind": "token", "changed.digest": auditDigest("17|alpha"), "changed.effect": "refuse",
	})
	for name := range span.attributes {
		if strings.HasPrefix(name, "token_revocation.") && !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("the page does not say what %s is", name)
		}
	}
}

// A site that answers load balancers in a handle is behind token_revocation, as
// the page says.
func TestHealthInHandle(t *testing.T) {
	c, _ := newHealthCaddy(t)
	c.launch(strings.Replace(healthSite("require_token"), "\ttoken_revocation_ready /ready\n", "\thandle /ready {\n\t\ttoken_revocation_ready\n\t}\n", 1))
	if a := do(t, healthRequest(t, c.url+"/ready")); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.body)
	}
}
