package prometheus

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
)

const alertsPath = "../../docs/alerts.yml"

func readAlerts(t *testing.T) (list []rulefmt.Rule) {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsPath, false, model.LegacyValidation, promQL, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	for _, group := range groups.Groups {
		list = append(list, group.Rules...)
	}
	return list
}

var ofLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// Every rule is about metrics and labels that a real Caddy has, and of one to which
// several bad things have just happened, those are true that are about them.
func TestAlertsOfACaddy(t *testing.T) {
	scrapes, now := live(t)
	var alerts []string
	for _, rule := range readAlerts(t) {
		expr, err := promQL.ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		if missing := scrapes.missing(expr); len(missing) > 0 {
			t.Errorf("%s: there is no %s", rule.Alert, strings.Join(missing, ", no "))
		}
		if len(scrapes.query(t, rule.Expr, now)) > 0 && !slices.Contains(ofSpeed, rule.Alert) {
			alerts = append(alerts, rule.Alert)
		}
	}
	if got, want := strings.Join(alerts, " "), os.Getenv(expectedAlerts); got != want {
		t.Errorf("%q are true, want %q", got, want)
	}
}

// ofSpeed are the rules that are true where the machine of the test, or its disk, has
// been slow, as it may be. TestAlertsFire says when else.
var ofSpeed = []string{"TokenRevocationStoreSlow", "TokenRevocationClusterSlow"}

// expectedAlerts names the rules that are true of the scrapes.
const expectedAlerts = "ALERTS"

// gateway are the series of one where all is well, in the notation of Prometheus'
// own rule tests, a minute apart. What changes beside it makes alerts fire.
var gateway = map[string]string{
	`denylist_loaded`: `1x60`,
	`checks_total{result="passed",reason="not_revoked"}`:                 `0+60000x60`,
	`checks_total{result="refused",reason="revoked"}`:                    `0+600x60`,
	`checks_total{result="refused",reason="unavailable"}`:                `0x60`,
	`revocations_total{way="endpoint",result="revoked"}`:                 `0+100x60`,
	`revocations_total{way="endpoint",result="failed"}`:                  `3x60`,
	`revocations_total{way="admin",result="failed"}`:                     `0x60`,
	`store_operation_errors_total{operation="get"}`:                      `1x60`,
	`store_operation_errors_total{operation="put"}`:                      `0x60`,
	`store_last_success_timestamp_seconds{operation="read"}`:             `0+60x60`,
	`store_last_success_timestamp_seconds{operation="write"}`:            `0x60`,
	`store_operation_duration_seconds_bucket{operation="put",le="0.01"}`: `0+100x60`,
	`store_operation_duration_seconds_bucket{operation="put",le="2.5"}`:  `0+100x60`,
	`store_operation_duration_seconds_bucket{operation="put",le="+Inf"}`: `0+100x60`,
	`authentication_failures_total{method="basic"}`:                      `0+2x60`,
	`authentication_failures_total{method="post"}`:                       `0x60`,
	`limited_requests_total{limit="rate"}`:                               `0+2x60`,
	`limited_requests_total{limit="failures"}`:                           `0x60`,
	`limited_requests_total{limit="records"}`:                            `0x60`,
	`cluster_level`:       `1x60`,
	`cluster_stale`:       `0x60`,
	`cluster_lag_seconds`: `0.01x60`,
	`cluster_snapshots_total{reason="no_cursor"}`: `1x60`,
	`cluster_snapshots_total{reason="older"}`:     `0x60`,
	`cluster_repaired_records_total`:              `12x60`,
	`cluster_owed_records`:                        `0x60`,
	`cluster_warnings`:                            `0x60`,
}

// Each alert fires when what it is about has been so for as long as it says, and no
// other does; and while all is well, none does.
func TestAlertsFire(t *testing.T) {
	rules := readAlerts(t)
	fired := map[string]bool{}
	for _, test := range []struct {
		what    string
		change  map[string]string
		minutes int // after which
		want    string
	}{
		{"all is well", nil, 60, ""},
		{"a restart", map[string]string{`checks_total{result="passed",reason="not_revoked"}`: `0+60000x29 0+60000x30`}, 31, ""},
		{"nobody is scraped any more", map[string]string{"*": `_x60`}, 4, ""},
		{"nobody is scraped any more", map[string]string{"*": `_x60`}, 5, "TokenRevocationMetricsAbsent"},
		{"it is loading", map[string]string{`denylist_loaded`: `0x1 1x60`}, 2, ""},
		{"it does not load", map[string]string{`denylist_loaded`: `0x60`}, 2, "TokenRevocationNotLoaded"},
		{"checks that cannot be answered", map[string]string{`checks_total{result="refused",reason="unavailable"}`: `0x9 1x60`}, 11, "TokenRevocationChecksUnavailable"},
		{"they can again", map[string]string{`checks_total{result="refused",reason="unavailable"}`: `0x9 1x60`}, 16, ""},
		{"a revocation failed", map[string]string{`revocations_total{way="endpoint",result="failed"}`: `3x9 4x60`}, 11, "TokenRevocationsFailing"},
		{"an operator's failed", map[string]string{`revocations_total{way="admin",result="failed"}`: `0x9 1x60`}, 11, "TokenRevocationsFailing"},
		{"reading fails", map[string]string{`store_operation_errors_total{operation="get"}`: `1+1x60`}, 5, ""},
		{"reading fails", map[string]string{`store_operation_errors_total{operation="get"}`: `1+1x60`}, 6, "TokenRevocationStoreErrors"},
		{"the store is stuck", map[string]string{`store_last_success_timestamp_seconds{operation="read"}`: `0+60x9 600x60`}, 15, ""},
		{"the store is stuck", map[string]string{`store_last_success_timestamp_seconds{operation="read"}`: `0+60x9 600x60`}, 17, "TokenRevocationStoreSilent"},
		{"one commit in fifty is slow", map[string]string{`store_operation_duration_seconds_bucket{operation="put",le="0.01"}`: `0+98x60`}, 10, ""},
		{"one commit in fifty is slow", map[string]string{`store_operation_duration_seconds_bucket{operation="put",le="0.01"}`: `0+98x60`}, 11, "TokenRevocationStoreSlow"},
		{"somebody guesses", map[string]string{`authentication_failures_total{method="post"}`: `0+60x60`}, 6, "TokenRevocationAuthenticationFailures"},
		{"a client revokes too fast", map[string]string{`limited_requests_total{limit="rate"}`: `0+60x60`}, 5, ""},
		{"a client revokes too fast", map[string]string{`limited_requests_total{limit="rate"}`: `0+60x60`}, 8, "TokenRevocationLimited"},
		{"a client revokes too much", map[string]string{`limited_requests_total{limit="records"}`: `0x9 1x60`}, 10, "TokenRevocationShareUsedUp"},
		{"a rule is too wide", map[string]string{`checks_total{result="refused",reason="revoked"}`: `0+90000x60`}, 5, ""},
		{"a rule is too wide", map[string]string{`checks_total{result="refused",reason="revoked"}`: `0+90000x60`}, 6, "TokenRevocationRefusesMost"},
		{"the cluster is away for a moment", map[string]string{`cluster_level`: `1x9 0x1 1x60`}, 11, ""},
		{"the cluster is away", map[string]string{`cluster_level`: `1x9 0x60`, `cluster_owed_records`: `0x9 3x60`}, 12, "TokenRevocationClusterAway"},
		{"and for longer", map[string]string{`cluster_level`: `1x9 0x60`, `cluster_stale`: `0x9 1x60`}, 11, "TokenRevocationClusterStale"},
		{"it is back", map[string]string{`cluster_level`: `1x9 0x9 1x60`, `cluster_stale`: `0x9 1x9 0x60`, `cluster_owed_records`: `0x9 3x9 0x60`}, 20, ""},
		{"it takes what it is owed", map[string]string{`cluster_owed_records`: `0x9 3x9 0x60`}, 25, ""},
		{"it does not take what it is owed", map[string]string{`cluster_owed_records`: `0x9 3x60`}, 20, "TokenRevocationClusterOwed"},
		{"it is slow", map[string]string{`cluster_lag_seconds`: `0.01x9 6x60`}, 14, ""},
		{"it is slow", map[string]string{`cluster_lag_seconds`: `0.01x9 6x60`}, 15, "TokenRevocationClusterSlow"},
		{"it was put back", map[string]string{`cluster_snapshots_total{reason="older"}`: `0x9 1x60`, `cluster_repaired_records_total`: `12x9 40x60`}, 12, "TokenRevocationClusterRepaired"},
		{"and later", map[string]string{`cluster_snapshots_total{reason="older"}`: `0x9 1x60`, `cluster_repaired_records_total`: `12x9 40x60`}, 30, ""},
		{"it is told everything all the time", map[string]string{`cluster_snapshots_total{reason="older"}`: `0+1x60`}, 10, "TokenRevocationClusterResyncs"},
		{"it is not set as it should be", map[string]string{`cluster_warnings`: `2x60`}, 4, ""},
		{"it is not set as it should be", map[string]string{`cluster_warnings`: `2x60`}, 5, "TokenRevocationClusterSettings"},
		{"one client tries again, and there are no others", map[string]string{
			`checks_total{result="refused",reason="revoked"}`:    `0+9x60`,
			`checks_total{result="passed",reason="not_revoked"}`: `0x60`,
		}, 30, ""},
	} {
		d := gatewayWith(t, test.change)
		var firing []string
		for _, rule := range rules {
			if samples := firingAt(t, d, rule, test.minutes); len(samples) > 0 {
				firing = append(firing, rule.Alert)
				said(t, rule, samples[0].Metric)
			}
		}
		for _, alert := range firing {
			fired[alert] = true
		}
		if got := strings.Join(firing, " "); got != test.want {
			t.Errorf("%s for %d minutes: %q fires, want %q", test.what, test.minutes, got, test.want)
		}
	}
	for _, rule := range rules {
		if !fired[rule.Alert] {
			t.Errorf("nothing made %s fire", rule.Alert)
		}
	}
}

// gatewayWith has other values for some series, or with "*" for all of them.
func gatewayWith(t *testing.T, change map[string]string) (d database) {
	t.Helper()
	for name := range change {
		if _, known := gateway[name]; !known && name != "*" {
			t.Fatalf("the gateway has no %s", name)
		}
	}
	for name, values := range gateway {
		if other, all := change["*"]; all {
			values = other
		} else if other, changed := change[name]; changed {
			values = other
		}
		of, sequence, err := promQL.ParseSeriesDesc("caddy_token_revocation_" + name + " " + values)
		if err != nil {
			t.Fatal(err)
		}
		of = labels.NewBuilder(of).Set("job", "caddy").Set("instance", "gateway:2019").Labels()
		for minute, v := range sequence {
			if !v.Omitted {
				d = d.add(of, time.Unix(int64(60*minute), 0), v.Value)
			}
		}
	}
	return d
}

// firingAt is for what a rule fires after some minutes: for what it has yielded
// something at every evaluation for as long as it says.
func firingAt(t *testing.T, d database, rule rulefmt.Rule, minutes int) (firing promql.Vector) {
	t.Helper()
	since := minutes - int(time.Duration(rule.For)/time.Minute)
	if since < 0 {
		return nil
	}
	for minute := since; minute <= minutes; minute++ {
		now := d.query(t, rule.Expr, time.Unix(int64(60*minute), 0))
		if minute > since {
			now = slices.DeleteFunc(now, func(s promql.Sample) bool {
				return !slices.ContainsFunc(firing, func(before promql.Sample) bool { return labels.Equal(before.Metric, s.Metric) })
			})
		}
		firing = now
	}
	return firing
}

// said checks that an alert has the labels that its texts are about.
func said(t *testing.T, rule rulefmt.Rule, of labels.Labels) {
	t.Helper()
	if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
		t.Errorf("%s: no severity, summary or description", rule.Alert)
	}
	for _, text := range rule.Annotations {
		for _, name := range ofLabel.FindAllStringSubmatch(text, -1) {
			if !of.Has(name[1]) {
				t.Errorf("%s: the alert is about %s, and has no label %s", rule.Alert, of, name[1])
			}
		}
	}
}
