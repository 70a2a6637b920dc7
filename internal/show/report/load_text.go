package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// timeColumn is a percentile of a table of times.
type timeColumn struct {
	name     string
	quantile float64 // 1 for the maximum
	of       func(*Distribution) time.Duration
}

var timeColumns = []timeColumn{
	{"p50", .5, func(d *Distribution) time.Duration { return d.P50 }},
	{"p75", .75, func(d *Distribution) time.Duration { return d.P75 }},
	{"p90", .9, func(d *Distribution) time.Duration { return d.P90 }},
	{"p95", .95, func(d *Distribution) time.Duration { return d.P95 }},
	{"p99", .99, func(d *Distribution) time.Duration { return d.P99 }},
	{"p99.9", .999, func(d *Distribution) time.Duration { return d.P999 }},
	{"p99.99", .9999, func(d *Distribution) time.Duration { return d.P9999 }},
	{"max", 1, func(d *Distribution) time.Duration { return d.Max }},
}

// cell writes a percentile in milliseconds, or a dash where too few values
// support it. The maximum claims nothing but itself.
func (c *timeColumn) cell(d *Distribution) string {
	if d.Count == 0 || c.quantile < 1 && c.quantile > d.Resolved {
		return none
	}
	return showdown.Millis(c.of(d))
}

// timesRow is a line of the table of times, and what it is counted from.
type timesRow struct {
	name, note string
	of         *Distribution
}

// times are the rows that say something: service time only where it differs.
func (t *LoadTest) times() []timesRow {
	c := &t.Load
	switch t.Loop {
	case ClosedLoop:
		return []timesRow{{"answer time", "saturated, not what users would see", &c.Latency}}
	case Listening:
		return []timesRow{
			{"first", "from the intended connect to the first message", &c.Latency},
			{"gap", "before each further message of a connection", &c.Service},
		}
	}
	rows := []timesRow{{"latency", "from the intended send", &c.Latency}}
	if t.waited() {
		rows = append(rows, timesRow{"service", "from the actual send: without waiting", &c.Service})
	}
	return append(rows, timesRow{"sent late", "by the generator itself", &c.Lag})
}

// waited reports whether requests waited before they were sent, so that their
// service time alone would flatter.
func (t *LoadTest) waited() bool {
	l, s := &t.Load.Latency, &t.Load.Service
	return slices.ContainsFunc(timeColumns, func(c timeColumn) bool {
		return c.quantile <= max(l.Resolved, .5) && c.of(l) > c.of(s)*3/2 && c.of(l)-c.of(s) > 200*time.Microsecond
	})
}

// target writes "GET http://127.0.0.1/" or "3 requests to http://127.0.0.1/ and others".
func (t *LoadTest) target() string {
	if len(t.Requests) == 0 {
		return none
	}
	first := t.Requests[0].Method + " " + t.Requests[0].URL
	if n := len(t.Requests) - 1; n > 0 {
		return first + " and " + showdown.Plural(n, "other")
	}
	return first
}

// loop writes "open loop at 2.00k/s" or "closed loop of 10 clients".
func (t *LoadTest) loop() string {
	s := &t.Settings
	switch t.Loop {
	case ClosedLoop:
		return "closed loop of " + showdown.Plural(s.Connections, "client")
	case Listening:
		return "listening on " + showdown.Plural(s.Connections, "connection")
	}
	text := "open loop at " + t.Offered.String()
	if s.Ramp != "" {
		text = "open loop, " + s.Ramp
	}
	if s.Arrivals == "random" {
		text += ", random arrivals"
	}
	return text
}

// WriteText writes the test as a terminal shows it.
func (t *LoadTest) WriteText(w io.Writer, style Style) error {
	if style.Width <= 0 {
		style.Width = 80
	}
	page := &text{style: style}
	for _, line := range wrap(plain(t.target()+" · "+t.loop()), style.Width) {
		page.b.WriteString(page.paint(bold, line) + "\n")
	}
	page.gap()
	t.counts(page)
	t.timesTable(page)
	t.strips(page)
	t.failures(page)
	page.item("generator", "", plain(t.Generator.words()))
	t.thresholds(page)
	_, err := io.WriteString(w, page.b.String())
	return err
}

func (t *LoadTest) counts(page *text) {
	c := &t.Load
	parts := []string{t.Rate.String() + " in " + elapsed(t.Elapsed), showdown.Bytes(c.Bytes).String() + " received"}
	if c.Verified > 0 {
		parts = append(parts, count(c.Verified)+" verified")
	}
	if t.Ending != Complete {
		parts = append(parts, page.paint(yellow, strings.ReplaceAll(string(t.Ending), "-", " ")))
	}
	label, result := "requests", t.result()
	if t.Loop == Listening {
		label = "arrived"
	}
	page.item(label, "", spaced(append([]string{result}, parts...)))
}

// elapsed writes "0.63 s" or "30 s".
func elapsed(d time.Duration) string {
	if d < 10*time.Second {
		return strconv.FormatFloat(d.Seconds(), 'g', 2, 64) + " s"
	}
	return showdown.Clock(d)
}

// result writes "59,996 of 60,000 due ok, 4 failed (0.0067%)".
func (t *LoadTest) result() string {
	c := &t.Load
	failed := ""
	if c.Failed > 0 {
		failed = ", " + count(c.Failed) + " failed (" + smallShare(c.ErrorRate()) + ")"
	}
	switch t.Loop {
	case Listening:
		return fmt.Sprintf("%s messages on %s%s", count(c.OK), showdown.Plural(t.Settings.Connections, "connection"), failed)
	case ClosedLoop:
		return fmt.Sprintf("%s ok of %s sent%s", count(c.OK), count(c.Due), failed)
	}
	return fmt.Sprintf("%s ok of %s due%s", count(c.OK), count(c.Due), failed)
}

// smallShare writes 0.000573 as "0.057%" and 0.5 as "50%".
func smallShare(share float64) string {
	if share >= .0995 {
		return percent(share)
	}
	return fmt.Sprintf("%.2g%%", 100*share)
}

// spaced joins parts that are not broken within.
func spaced(parts []string) string {
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(p, " ", noBreak)
	}
	return strings.Join(parts, noBreak+noBreak+" ")
}

func (t *LoadTest) timesTable(page *text) {
	rows := t.times()
	shown := slices.DeleteFunc(slices.Clone(timeColumns), func(c timeColumn) bool {
		return c.quantile == .9999 && !slices.ContainsFunc(rows, func(r timesRow) bool { return c.cell(r.of) != none })
	})
	line := func(label string, cell func(*timeColumn) string) string {
		text := pad(label, labelWidth-2)
		for i := range shown {
			text += strings.Repeat(" ", max(1, 7-utf8.RuneCountInString(cell(&shown[i])))) + cell(&shown[i])
		}
		return text
	}
	page.gap()
	page.b.WriteString(page.paint(dim, line("ms", func(c *timeColumn) string { return c.name })) + "\n")
	var below []timesRow // notes that have no room beside their row
	for _, r := range rows {
		text := line(r.name, func(c *timeColumn) string { return c.cell(r.of) })
		if utf8.RuneCountInString(text+r.note)+3 > page.style.Width {
			below = append(below, r)
		} else {
			text += "   " + page.paint(dim, r.note)
		}
		page.b.WriteString(text + "\n")
	}
	for _, r := range below {
		for _, l := range wrap(r.name+": "+r.note, page.style.Width-labelWidth) {
			page.b.WriteString(pad("", labelWidth) + page.paint(dim, l) + "\n")
		}
	}
	page.gap()
}

// strips draw what each second brought, one character a second or more.
func (t *LoadTest) strips(page *text) {
	if len(t.Seconds) < 3 {
		return
	}
	room := max(10, min(60, page.style.Width-labelWidth-24))
	rates, peaks := make([]float64, len(t.Seconds)), make([]float64, len(t.Seconds))
	for i := range t.Seconds {
		rates[i], peaks[i] = float64(t.Seconds[i].Rate()), float64(t.Seconds[i].P99)
	}
	page.item("rate", "", strip(rates, room, slices.Min)+noBreak+noBreak+span(rates, rate, "/s"))
	if t.Loop == OpenLoop {
		page.item("p99", "", strip(peaks, room, slices.Max)+noBreak+noBreak+span(peaks, func(v float64) string { return millis(v / 1e9) }, " ms"))
	}
}

// strip draws values as bars from zero. Where there is not room for all, each
// bar is the one of several that worst picks.
func strip(values []float64, room int, worst func([]float64) float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	per := (len(values) + room - 1) / room
	top := max(slices.Max(values), 1e-9)
	var b strings.Builder
	for some := range slices.Chunk(values, per) {
		b.WriteRune(bars[min(len(bars)-1, int(worst(some)/top*float64(len(bars))))])
	}
	return b.String()
}

// span writes "1.9–2.1k/s each second" without the first unit where both have it.
func span(values []float64, write func(float64) string, unit string) string {
	lo, hi := write(slices.Min(values)), write(slices.Max(values))
	if lo == hi {
		return strings.ReplaceAll(hi, " ", noBreak)
	}
	return strings.ReplaceAll(strings.TrimSuffix(lo, unit)+"–"+hi, " ", noBreak)
}

func (t *LoadTest) failures(page *text) {
	var parts []string
	for _, kind := range t.failureKinds() {
		parts = append(parts, count(t.Load.Failures[kind])+" × "+string(kind))
	}
	if len(parts) == 0 {
		return
	}
	page.item("failed", red, spaced(parts))
	if t.Load.Example != "" {
		page.item("", "", "the first: "+plain(t.Load.Example))
	}
}

// failureKinds are the failures that occurred, in the order of printing.
func (t *LoadTest) failureKinds() []showdown.Failure {
	kinds := slices.Sorted(maps.Keys(t.Load.Failures))
	slices.SortStableFunc(kinds, func(a, b showdown.Failure) int {
		return slices.Index(showdown.Failures, a) - slices.Index(showdown.Failures, b)
	})
	return slices.DeleteFunc(kinds, func(f showdown.Failure) bool { return t.Load.Failures[f] == 0 })
}

// words writes "epoll, 31% of a CPU".
func (g *Generator) words() string {
	busy := percent(g.Busiest) + " busy"
	switch {
	case g.Threads > 1:
		return fmt.Sprintf("%s, %d threads, the busiest %s", g.Engine, g.Threads, busy)
	case g.Threads == 0:
		return g.Engine + ", all CPUs together " + busy
	}
	return g.Engine + ", " + busy
}

func (t *LoadTest) thresholds(page *text) {
	var parts []string
	for _, h := range t.Thresholds {
		mark := page.paint(green, "✓")
		if h.Failed {
			mark = page.paint(red, "✗")
		}
		parts = append(parts, mark+" "+plain(h.Condition)+": "+plain(h.Value))
	}
	if len(parts) > 0 {
		page.item("fail if", "", spaced(parts))
	}
}
