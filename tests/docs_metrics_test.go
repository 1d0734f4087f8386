package tests

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const metricsPage = "../docs/metrics.md"

// docMetric is a metric, as the page or Caddy has it: its type, and the values of
// its labels.
type docMetric struct {
	kind   string
	labels map[string][]string
}

func (m docMetric) String() string {
	text := m.kind
	for _, name := range slices.Sorted(maps.Keys(m.labels)) {
		slices.Sort(m.labels[name])
		text += fmt.Sprint(" ", name, slices.Compact(m.labels[name]))
	}
	return text
}

var (
	docLabel    = regexp.MustCompile("^`(\\w+)`: (.*)$")
	seriesLabel = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// docTable has the first cells of the rows of the page that begin with a name in
// code, and the rest of them.
func docTable(t *testing.T, prefix string) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if name := strings.Trim(cells[0], "`"); strings.HasPrefix(name, prefix) && len(cells) > 1 {
			rows[name] = cells[1:]
		}
	}
	return rows
}

func docMetrics(t *testing.T) map[string]docMetric {
	t.Helper()
	list := map[string]docMetric{}
	for name, cells := range docTable(t, metricsPrefix) {
		if len(cells) != 3 || cells[2] == "" {
			t.Fatalf("%s: %q", name, cells)
		}
		m := docMetric{kind: cells[0], labels: map[string][]string{}}
		for part := range strings.SplitSeq(cells[1], ";") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			label := docLabel.FindStringSubmatch(part)
			if label == nil {
				t.Fatalf("%s: %q", name, part)
			}
			for value := range strings.SplitSeq(label[2], ", ") {
				m.labels[label[1]] = append(m.labels[label[1]], strings.Trim(value, "`"))
			}
		}
		list[strings.TrimPrefix(name, metricsPrefix)] = m
	}
	return list
}

// docOf is what a scrape has.
func docOf(s metricsScrape) map[string]docMetric {
	list := map[string]docMetric{}
	for name, kind := range s.types {
		list[name] = docMetric{kind: kind, labels: map[string][]string{}}
	}
	for series := range s.values {
		m := list[s.family(series)]
		for _, label := range seriesLabel.FindAllStringSubmatch(series, -1) {
			if label[1] != "le" {
				m.labels[label[1]] = append(m.labels[label[1]], label[2])
			}
		}
	}
	return list
}

// The page has every metric, label and value that Caddy has, and no other.
func TestMetricsPageTable(t *testing.T) {
	c := gateways(t, 1, startNATS(t).url, "")[0]
	c.revoke(t, "dead|1")
	said, page := docOf(c.scrape(t)), docMetrics(t)
	for name, m := range said {
		if got := page[name].String(); got != m.String() {
			t.Errorf("%s: the page has %q, Caddy %q", name, got, m)
		}
	}
	for name := range page {
		if _, there := said[name]; !there {
			t.Errorf("Caddy has no %s", name)
		}
	}
}

// The page has every alert, with its severity, and no other.
func TestMetricsPageAlerts(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels map[string]string
			}
		}
	}
	b, err := os.ReadFile("../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	rows := docTable(t, "TokenRevocation")
	for _, rule := range file.Groups[0].Rules {
		if cells := rows[rule.Alert]; len(cells) != 2 || cells[0] != rule.Labels["severity"] {
			t.Errorf("%s: the page has %q", rule.Alert, cells)
		}
		delete(rows, rule.Alert)
	}
	if len(rows) > 0 {
		t.Errorf("there is no %v", rows)
	}
}

// The Caddyfile runs, its commands find what they look for, and so would the
// Prometheus that is configured so. Its questions are judged in TestPrometheus.
func TestMetricsPage(t *testing.T) {
	c := newCaddy(t, t.TempDir(), nil)
	port := freePort(t)
	texts := strings.NewReplacer("localhost:2019", c.admin, "gateway.internal:2020", "localhost:"+port)
	var commands []docBlock
	for _, section := range readDoc(t, metricsPage, "sh", "caddyfile", "yaml", "promql") {
		for _, block := range section.of("caddyfile") {
			rest, global := strings.CutPrefix(texts.Replace(block.text), "{\n")
			if !global {
				t.Fatal(block.text)
			}
			c.launch("{\n\tadmin ADMIN\n" + rest)
			if strings.Contains(c.logs.String(), "not formatted") {
				t.Error("the Caddyfile is not formatted")
			}
		}
		commands = append(commands, section.of("sh")...)
		for _, block := range section.of("yaml") {
			docScrapes(t, texts.Replace(block.text))
		}
	}
	for _, block := range commands {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", texts.Replace(block.text))
		cmd.WaitDelay = 10 * time.Second
		timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		timer.Stop()
		if err != nil || len(out) == 0 {
			t.Errorf("%s:%d: %v\n%s", metricsPage, block.line, err, out)
		}
	}
	if len(commands) != 2 {
		t.Errorf("%d commands", len(commands))
	}
}

// docScrapes does what a Prometheus with a configuration does: asks its targets at
// /metrics, and reads its rules.
func docScrapes(t *testing.T, config string) {
	t.Helper()
	var is struct {
		Scrapes []struct {
			Job      string                       `yaml:"job_name"`
			Interval time.Duration                `yaml:"scrape_interval"`
			Static   []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
		Rules []string `yaml:"rule_files"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(config))
	decoder.KnownFields(true)
	if err := decoder.Decode(&is); err != nil {
		t.Fatal(err)
	}
	for _, path := range is.Rules {
		if _, err := os.Stat(filepath.Join(filepath.Dir(metricsPage), path)); err != nil {
			t.Error(err)
		}
	}
	scraped := 0
	for _, job := range is.Scrapes {
		for _, static := range job.Static {
			for _, target := range static.Targets {
				s, err := metricsFrom("http://" + target + "/metrics")
				if err != nil || s.values["denylist_loaded"] != 1 {
					t.Errorf("%s says %v, %v", target, s.values, err)
				}
				scraped++
			}
		}
		if job.Job == "" || job.Interval <= 0 || job.Interval > 2*time.Minute {
			t.Errorf("%+v", job)
		}
	}
	if scraped == 0 || len(is.Rules) == 0 {
		t.Errorf("%+v", is)
	}
}
