package prometheus

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const dashboardPath = "../../docs/grafana-dashboard.json"

// dashboard is the part of a Grafana dashboard (JSON model, schema version 39) that
// can be wrong.
type dashboard struct {
	UID           string
	Title         string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource *datasource
	GridPos    struct{ X, Y, W, H int }
	Targets    []target
}

type target struct {
	RefID        string
	Datasource   *datasource
	Expr         string
	LegendFormat string
}

type datasource struct{ Type, UID string }

type variable struct {
	Name       string
	Type       string
	Query      any
	Definition string
	Datasource *datasource
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	b, err := os.ReadFile(dashboardPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

var (
	chosen    = datasource{"prometheus", "${datasource}"}
	usedName  = regexp.MustCompile(`\$\{?(\w+)`)
	inLegend  = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	listsWhat = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
)

// Grafana can show it: no two panels are the same or in the same place, and
// everything comes from the data source that is chosen.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion == 0 || len(d.Panels) == 0 {
		t.Fatalf("%+v", d)
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" || p.Type == "" {
			t.Errorf("panel %d (%s)", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if x >= 24 || cells[[2]int{x, y}] != "" {
					t.Fatalf("%s lies over %q, or beyond the edge", p.Title, cells[[2]int{x, y}])
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource == nil || *p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("%s: %+v", p.Title, p)
		}
		refs := map[string]bool{}
		for _, query := range p.Targets {
			if query.Datasource == nil || *query.Datasource != chosen || query.RefID == "" || refs[query.RefID] || query.LegendFormat == "" {
				t.Errorf("%s: %+v", p.Title, query)
			}
			refs[query.RefID] = true
		}
	}
}

// Every query of the dashboard finds what it is about in what a real Caddy says, and
// yields numbers.
func TestDashboardQueries(t *testing.T) {
	scrapes, now := live(t)
	d := readDashboard(t)
	values := []string{"$__rate_interval", "4m", "${datasource}", ""}
	known := []string{"__rate_interval", "datasource"}
	for _, v := range d.Templating.List {
		known = append(known, v.Name)
		values = append(values, "$"+v.Name, ".+")
	}
	fill := strings.NewReplacer(values...)
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			continue
		}
		lists := listsWhat.FindStringSubmatch(v.Definition)
		if lists == nil || *v.Datasource != chosen {
			t.Fatalf("variable %+v", v)
		}
		found := scrapes.query(t, fill.Replace(lists[1]), now)
		if len(found) == 0 || found[0].Metric.Get(lists[2]) == "" {
			t.Errorf("variable %s has no values", v.Name)
		}
	}
	for _, p := range d.Panels {
		for _, query := range p.Targets {
			for _, name := range usedName.FindAllStringSubmatch(query.Expr, -1) {
				if !slices.Contains(known, name[1]) {
					t.Errorf("%s: there is no variable %s", p.Title, name[1])
				}
			}
			text := fill.Replace(query.Expr)
			expr, err := promQL.ParseExpr(text)
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
				continue
			}
			if missing := scrapes.missing(expr); len(missing) > 0 {
				t.Errorf("%s: there is no %s", p.Title, strings.Join(missing, ", no "))
				continue
			}
			result := scrapes.query(t, text, now)
			if !hasNumbers(result) {
				t.Errorf("%s: no data: %s", p.Title, text)
				continue
			}
			for _, name := range inLegend.FindAllStringSubmatch(query.LegendFormat, -1) {
				if !result[0].Metric.Has(name[1]) {
					t.Errorf("%s: the legend is about %s, and the result about %s", p.Title, name[1], result[0].Metric)
				}
			}
		}
	}
}
