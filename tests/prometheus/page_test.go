package prometheus

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var inPage = regexp.MustCompile("(?s)```promql\n(.*?)```")

// What the page asks has an answer.
func TestPageQueries(t *testing.T) {
	scrapes, now := live(t)
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	queries := inPage.FindAllSubmatch(page, -1)
	if len(queries) == 0 {
		t.Fatal("the page asks nothing")
	}
	for _, query := range queries {
		text := string(query[1])
		expr, err := promQL.ParseExpr(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if missing := scrapes.missing(expr); len(missing) > 0 {
			t.Errorf("%s: there is no %s", text, strings.Join(missing, ", no "))
		}
		if !hasNumbers(scrapes.query(t, text, now)) {
			t.Errorf("no data: %s", text)
		}
	}
}
