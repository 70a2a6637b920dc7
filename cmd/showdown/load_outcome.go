package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// outcome fills in what was measured and what is to be thought of it.
func (p *loadPlan) outcome(r *load.Result, runErr error) {
	t := &p.test
	t.Start, t.Elapsed, t.Ending = r.Start.UnixNano(), r.Elapsed, report.Complete
	switch {
	case errors.Is(runErr, context.Canceled):
		t.Ending = report.Cancelled
	case r.Aborted:
		t.Ending = report.GivenUp
	}
	if r.Elapsed > 0 {
		t.Rate = showdown.Rate(float64(r.OK) / r.Elapsed.Seconds())
	}
	t.Load = report.LoadCounts{
		Due: r.Due, Sent: r.Sent, OK: r.OK, Failures: r.Failures, Example: r.Example, Verified: r.Verified, Bytes: r.Bytes, Opened: r.Connections,
		Latency: distribution(r.Latency, r.Max), Service: distribution(r.Service, 0), Lag: distribution(r.Lag, 0),
	}
	for _, n := range r.Failures {
		t.Load.Failed += n
	}
	if p.requests.expect == nil {
		t.Load.Verified = 0 // bodies that nothing was expected of
	}
	t.Generator = report.Generator{Engine: r.Engine, CPU: r.CPU, Threads: max(1, p.target.Threads)}
	if r.Engine == "goroutines" {
		t.Generator.Threads = 0
	}
	t.Generator.Busiest = busiest(r.Busiest, r.CPU, r.Elapsed, t.Generator.Threads)
	t.Seconds = p.outputs.seconds.list
	for _, h := range p.thresholds {
		t.Thresholds = append(t.Thresholds, h.hold(t))
	}
	t.Warnings = p.warnings()
}

// busiest is the share of a CPU that the busiest event loop used. Where no loop
// tells, it is the process's share of what it could have used.
func busiest(told float64, cpu, elapsed time.Duration, threads int) float64 {
	if told > 0 || elapsed <= 0 {
		return told
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return min(1, cpu.Seconds()/elapsed.Seconds()/float64(threads))
}

// curveQuantiles are those of the percentile chart.
var curveQuantiles = append(rank.Quantiles[:len(rank.Quantiles):len(rank.Quantiles)], .99995, .99999)

// distribution sums a histogram up. most is its exact maximum, if that is known.
func distribution(h *hdrhistogram.Histogram, most time.Duration) report.Distribution {
	n := uint64(h.TotalCount())
	if n == 0 {
		return report.Distribution{}
	}
	if most == 0 {
		most = time.Duration(h.Max())
	}
	// A histogram's values are the upper edges of its buckets.
	at := func(q float64) time.Duration { return min(most, time.Duration(h.ValueAtQuantile(100*q))) }
	d := report.Distribution{
		Count: n, Mean: time.Duration(h.Mean()), P50: at(.5), P75: at(.75), P90: at(.9), P95: at(.95), P99: at(.99),
		P999: at(.999), P9999: at(.9999), Max: most,
	}
	for _, q := range []float64{.5, .75, .9, .95, .99, .999, .9999} {
		if supported(q, n) {
			d.Resolved = q
		}
	}
	for _, q := range curveQuantiles {
		if supported(q, n) {
			d.Curve = append(d.Curve, report.CurvePoint{Quantile: q, Value: at(q)})
		}
	}
	return d
}

// supported reports whether n values say anything of the quantile q: whether at
// least two lie beyond it with 99% confidence. For p99 that takes 662. It is the
// binomial distribution of the values beyond (Wilks, Ann. Math. Stat. 12, 1941).
func supported(q float64, n uint64) bool {
	return n > 0 && math.Pow(q, float64(n-1))*(q+float64(n)*(1-q)) <= .01
}

// The limits beyond which the generator, not the server, may be what was measured.
const (
	busyOpen   = .7 // of an open loop: above it, requests wait for the generator now and then
	busyClosed = .9
	lateMost   = time.Millisecond
	lateShare  = .05 // of the p99
	lateLeast  = 200 * time.Microsecond
	sentLeast  = .99 // of what was due
)

// warnings are the doubts about the test.
func (p *loadPlan) warnings() []report.LoadWarning {
	var all []report.LoadWarning
	t := &p.test
	warn := func(untrustworthy bool, kind showdown.WarningKind, format string, args ...any) {
		all = append(all, report.LoadWarning{Kind: kind, Text: fmt.Sprintf(format, args...), Untrustworthy: untrustworthy})
	}
	c, g := &t.Load, &t.Generator
	switch open := t.Loop == report.OpenLoop; {
	case open && g.Busiest > busyOpen:
		warn(true, showdown.WarnGenerator, "the generator was %.0f%% busy: part of the latency may be its own", 100*g.Busiest)
	case !open && g.Busiest > busyClosed:
		warn(true, showdown.WarnGenerator, "the generator was %.0f%% busy: the server may be faster than shown", 100*g.Busiest)
	}
	if t.Loop == report.OpenLoop {
		p.scheduleWarnings(warn)
	}
	if t.Ending == report.GivenUp {
		warn(true, report.WarnGivenUp, "given up after %s: a due request went unanswered for %s, the server was past its capacity", t.Elapsed.Round(10*time.Millisecond), p.window.GiveUp)
	}
	for i := range p.thresholds {
		if m := &p.thresholds[i].metric; m.quantile > c.Latency.Resolved && c.OK > 0 {
			warn(true, report.WarnFewAnswers, "%d good answers are too few for %s", c.OK, m.name)
		}
	}
	return all
}

func (p *loadPlan) scheduleWarnings(warn func(bool, showdown.WarningKind, string, ...any)) {
	c := &p.test.Load
	late, limit := c.Lag.P99, max(lateLeast, time.Duration(lateShare*float64(c.Latency.P99)))
	if late > min(limit, lateMost) {
		warn(true, showdown.WarnLag, "the generator sent %s ms late (p99): part of the latency is its own", showdown.Millis(late))
	}
	if n := c.Failures[showdown.FailUnsent]; n > 0 {
		warn(false, report.WarnUnsent, "%d requests found no free connection in time: the server was too slow for %s", n, showdown.Plural(p.target.Max, "connection"))
	}
	if float64(c.Sent) < sentLeast*float64(c.Due) {
		warn(true, report.WarnRate, "only %.3g%% of the requests that were due were sent: these are not the latencies of %s", 100*float64(c.Sent)/float64(c.Due), p.test.Offered)
	}
	if p.window.Slot > 0 {
		warn(false, report.WarnSlots, "requests were sent together at multiples of %s, as asked: the server saw small bursts", p.window.Slot)
	}
}
