package prometheus

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"
)

// scrapesDir is where a real Caddy's answers to scrapes are, as files in the order
// of their names, each as if it were a minute later than the one before; the last
// is as old as its file.
const scrapesDir = "SCRAPES"

// live are those scrapes, and when the last was.
func live(t *testing.T) (d database, now time.Time) {
	t.Helper()
	dir := os.Getenv(scrapesDir)
	if dir == "" {
		t.Skipf("%s is not set: run TestPrometheus in ../, which has a Caddy to scrape", scrapesDir)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) < 2 {
		t.Fatalf("%v: %v", paths, err)
	}
	slices.Sort(paths)
	last, err := os.Stat(paths[len(paths)-1])
	if err != nil {
		t.Fatal(err)
	}
	now = last.ModTime()
	for i, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d, err = d.scraped(b, now.Add(-time.Duration(len(paths)-1-i)*time.Minute)); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return d, now
}

// scraped adds what a target has said, with the labels that Prometheus adds.
func (d database) scraped(b []byte, at time.Time) (database, error) {
	p, err := textparse.New(b, "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	for {
		entry, err := p.Next()
		if err == io.EOF {
			return d, nil
		}
		if err != nil {
			return nil, err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var of labels.Labels
		p.Labels(&of)
		_, _, v := p.Series()
		of = labels.NewBuilder(of).Set("job", "caddy").Set("instance", "gateway:2019").Labels()
		d = d.add(of, at, v)
	}
}

// missing says what an expression is about that there is not: a metric, a label, or
// a label's value.
func (d database) missing(expr parser.Expr) (list []string) {
	var all []series
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			of := d.selects([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, selector.Name)})
			list = append(list, missingOf(selector, of)...)
			all = append(all, of...)
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if sum, ok := node.(*parser.AggregateExpr); ok {
			for _, name := range sum.Grouping {
				if !hasLabel(all, name) {
					list = append(list, "label "+name)
				}
			}
		}
		return nil
	})
	return list
}

func missingOf(selector *parser.VectorSelector, of []series) (list []string) {
	if len(of) == 0 {
		return []string{"metric " + selector.Name}
	}
	for _, m := range selector.LabelMatchers {
		switch {
		case !hasLabel(of, m.Name):
			list = append(list, fmt.Sprintf("label %s of %s", m.Name, selector.Name))
		case m.Type == labels.MatchNotEqual && !hasValue(of, m.Name, m.Value),
			!slices.ContainsFunc(of, func(s series) bool { return m.Matches(s.of.Get(m.Name)) }):
			list = append(list, fmt.Sprintf("%s of %s", m, selector.Name))
		}
	}
	return list
}

func hasLabel(of []series, name string) bool {
	return slices.ContainsFunc(of, func(s series) bool { return s.of.Has(name) })
}

func hasValue(of []series, name, value string) bool {
	return slices.ContainsFunc(of, func(s series) bool { return s.of.Get(name) == value })
}

// What is missing is found.
func TestMissing(t *testing.T) {
	d, err := database{}.scraped([]byte("a{x=\"1\"} 1\na{x=\"2\"} 2\n"), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`a`:                        "",
		`sum by (x) (a{x="1"})`:    "",
		`a{job="caddy",x!="2"}`:    "",
		`b`:                        "metric b",
		`a{y="1"}`:                 "label y of a",
		`a{x="3"}`:                 `x="3" of a`,
		`a{x!="3"}`:                `x!="3" of a`,
		`a{x=~"3|4"}`:              `x=~"3|4" of a`,
		`sum by (y) (rate(a[5m]))`: "label y",
	} {
		expr, err := promQL.ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.missing(expr), ", "); got != want {
			t.Errorf("%s: %q is missing, want %q", text, got, want)
		}
	}
}
