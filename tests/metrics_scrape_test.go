package tests

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const metricsPrefix = "caddy_token_revocation_"

// metricsScrape is what Caddy said of this module when it was asked for metrics.
type metricsScrape struct {
	text string // all of it
	// values are those of each series, by its name without the prefix and its
	// labels in order, such as `cache_hits_total` or
	// `checks_total{reason="revoked",result="refused"}`.
	values map[string]float64
	// types are those of the metrics, by name without the prefix.
	types map[string]string
}

// scrape asks the admin endpoint, of which each configuration has one of its own:
// a connection to the one before may break.
func (c *caddy) scrape(t *testing.T) (s metricsScrape) {
	t.Helper()
	eventually(t, func() (err error) {
		s, err = metricsFrom("http://" + c.admin + "/metrics")
		if err != nil && !errors.Is(err, errMetricsBroke) {
			t.Fatal(err)
		}
		return err
	})
	return s
}

// errMetricsBroke says that no whole answer came, rather than a wrong one.
var errMetricsBroke = errors.New("the connection broke")

func metricsFrom(url string) (metricsScrape, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return metricsScrape{}, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return metricsScrape{}, fmt.Errorf("%w: %w", errMetricsBroke, err)
	}
	defer func() { _ = response.Body.Close() }()
	var text strings.Builder
	if _, err := io.Copy(&text, response.Body); err != nil {
		return metricsScrape{}, fmt.Errorf("%w: %w", errMetricsBroke, err)
	}
	if response.StatusCode != http.StatusOK {
		return metricsScrape{}, fmt.Errorf("%s: %s", response.Status, text.String())
	}
	return readMetrics(text.String())
}

func readMetrics(text string) (metricsScrape, error) {
	s := metricsScrape{text: text, values: map[string]float64{}, types: map[string]string{}}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return s, err
	}
	for name, family := range families {
		if short, ours := strings.CutPrefix(name, metricsPrefix); ours {
			s.types[short] = strings.ToLower(family.GetType().String())
		}
	}
	for line := range strings.Lines(text) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		short, ours := strings.CutPrefix(series, metricsPrefix)
		if !ours {
			continue
		}
		if s.values[short], err = strconv.ParseFloat(value, 64); err != nil {
			return s, err
		}
	}
	return s, nil
}

// has expects series to be there, and their values.
func (s metricsScrape) has(t *testing.T, want map[string]float64) {
	t.Helper()
	for series, value := range want {
		if got, there := s.values[series]; !there || got != value {
			t.Errorf("%s is %v, want %v", series, got, value)
		}
	}
}

// since are the counters that grew after an earlier scrape, by how much.
func (s metricsScrape) since(before metricsScrape) map[string]float64 {
	grown := map[string]float64{}
	for series, value := range s.values {
		name, _, _ := strings.Cut(series, "{")
		if more := value - before.values[series]; strings.HasSuffix(name, "_total") && more != 0 {
			grown[series] = more
		}
	}
	return grown
}

// metricsFamily is the metric that a series belongs to.
func (s metricsScrape) family(series string) string {
	name, _, _ := strings.Cut(series, "{")
	if _, known := s.types[name]; known {
		return name
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(name, suffix); cut {
			return base
		}
	}
	return name
}
