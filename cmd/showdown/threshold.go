package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// threshold is a --fail-if condition: a metric, < or >, and a limit.
type threshold struct {
	text   string
	metric metric
	above  bool // fails above the limit, else below
	limit  float64
}

// metric is a figure that a threshold may be about, and how its limit is written.
type metric struct {
	name     string
	quantile float64 // of the latency, if it is one
	value    func(*report.LoadTest) float64
	parse    func(string) (float64, error)
	show     func(float64) string
}

var metrics = []metric{
	latencyMetric("p50", .5, func(d *report.Distribution) time.Duration { return d.P50 }),
	latencyMetric("p75", .75, func(d *report.Distribution) time.Duration { return d.P75 }),
	latencyMetric("p90", .9, func(d *report.Distribution) time.Duration { return d.P90 }),
	latencyMetric("p95", .95, func(d *report.Distribution) time.Duration { return d.P95 }),
	latencyMetric("p99", .99, func(d *report.Distribution) time.Duration { return d.P99 }),
	latencyMetric("p99.9", .999, func(d *report.Distribution) time.Duration { return d.P999 }),
	latencyMetric("p99.99", .9999, func(d *report.Distribution) time.Duration { return d.P9999 }),
	latencyMetric("max", 0, func(d *report.Distribution) time.Duration { return d.Max }),
	latencyMetric("mean", 0, func(d *report.Distribution) time.Duration { return d.Mean }),
	timeMetric("lag", 0, func(t *report.LoadTest) time.Duration { return t.Load.Lag.P99 }),
	{
		name:  "errors",
		value: func(t *report.LoadTest) float64 { return t.Load.ErrorRate() },
		parse: parseShare,
		show:  func(v float64) string { return fmt.Sprintf("%.3g%%", 100*v) },
	},
	{
		name:  "rate",
		value: func(t *report.LoadTest) float64 { return float64(t.Rate) },
		parse: func(s string) (float64, error) { r, err := showdown.ParseRate(s); return float64(r), err },
		show:  func(v float64) string { return showdown.Rate(v).String() },
	},
}

func latencyMetric(name string, quantile float64, of func(*report.Distribution) time.Duration) metric {
	return timeMetric(name, quantile, func(t *report.LoadTest) time.Duration { return of(&t.Load.Latency) })
}

func timeMetric(name string, quantile float64, of func(*report.LoadTest) time.Duration) metric {
	return metric{
		name: name, quantile: quantile,
		value: func(t *report.LoadTest) float64 { return float64(of(t)) },
		parse: func(s string) (float64, error) { d, err := time.ParseDuration(s); return float64(d), err },
		show:  func(v float64) string { return showdown.Millis(time.Duration(v)) + " ms" },
	}
}

// parseShare reads "0.1%" or "0.001".
func parseShare(s string) (float64, error) {
	text, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(text, 64)
	if percent {
		v /= 100
	}
	if err == nil && (v < 0 || v > 1) {
		err = fmt.Errorf("it is not between 0%% and 100%%")
	}
	return v, err
}

func parseThresholds(texts []string) ([]threshold, error) {
	var all []threshold
	for _, text := range texts {
		t, err := parseThreshold(text)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func parseThreshold(text string) (threshold, error) {
	i := strings.IndexAny(text, "<>")
	if i < 0 {
		return threshold{}, showdown.Usage("such as 'p99>50ms', 'errors>0.1%' or 'rate<1000'", "condition %q has neither < nor >", text)
	}
	name, limit := strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
	k := slices.IndexFunc(metrics, func(m metric) bool { return m.name == name })
	if k < 0 {
		var names []string
		for _, m := range metrics {
			names = append(names, m.name)
		}
		hint := showdown.Suggest(name, names, "all: "+strings.Join(names, ", "))
		return threshold{}, showdown.Usage(hint, "condition %q: unknown metric %q", text, name)
	}
	v, err := metrics[k].parse(limit)
	if err != nil {
		return threshold{}, showdown.Usage("times need a unit: 50ms, 1.5s; errors are 0.1%; rates 1000 or 2k/s", "condition %q: bad limit %q", text, limit)
	}
	return threshold{text: text, metric: metrics[k], above: text[i] == '>', limit: v}, nil
}

// hold holds a result against the threshold. Without a single good answer there
// is no latency, and a condition on one counts as met: nothing was fast enough.
func (t *threshold) hold(r *report.LoadTest) report.LoadThreshold {
	v := t.metric.value(r)
	row := report.LoadThreshold{Condition: t.text, Value: t.metric.show(v), Failed: t.above && v > t.limit || !t.above && v < t.limit}
	if r.Load.OK == 0 && t.metric.name != "errors" {
		row.Value, row.Failed = "no good answer", true
	}
	return row
}
