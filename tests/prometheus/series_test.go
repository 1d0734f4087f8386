// Package prometheus has Prometheus itself judge the alerting rules and the
// dashboard in docs. It is a module of its own, so that nobody else needs that
// much; the tests above run it, and give it what a real Caddy has said.
package prometheus

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

var promQL = parser.NewParser(parser.Options{})

// series are all samples there are, in the order of time.
type series struct {
	of      labels.Labels
	samples []chunks.Sample
}

// sample is one at a time in milliseconds.
type sample struct {
	t int64
	v float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// database answers queries from memory.
type database []series

func (d database) add(of labels.Labels, t time.Time, v float64) database {
	i := slices.IndexFunc(d, func(s series) bool { return labels.Equal(s.of, of) })
	if i < 0 {
		i = len(d)
		d = append(d, series{of: of})
	}
	d[i].samples = append(d[i].samples, sample{t.UnixMilli(), v})
	return d
}

func (d database) selects(matchers []*labels.Matcher) (found []series) {
	for _, s := range d {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.of.Get(m.Name)) }) {
			found = append(found, s)
		}
	}
	return found
}

// Querier implements [storage.Queryable].
func (d database) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		return &seriesSet{rest: d.selects(matchers)}
	}}, nil
}

type seriesSet struct {
	rest []series
	at   storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.at, s.rest = storage.NewListSeries(s.rest[0].of, s.rest[0].samples), s.rest[1:]
	return true
}

func (s *seriesSet) At() storage.Series                { return s.at }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

var engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: promQL})

// query is what an expression yields at a time.
func (d database) query(t *testing.T, expr string, at time.Time) promql.Vector {
	t.Helper()
	q, err := engine.NewInstantQuery(context.Background(), d, nil, expr, at)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer q.Close()
	result := q.Exec(context.Background())
	if result.Err != nil {
		t.Fatalf("%s: %v", expr, result.Err)
	}
	vector, err := result.Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	// The engine uses the memory of the result again.
	return slices.Clone(vector)
}

// hasNumbers says whether a result has any.
func hasNumbers(v promql.Vector) bool {
	return slices.ContainsFunc(v, func(s promql.Sample) bool { return !math.IsNaN(s.F) })
}
