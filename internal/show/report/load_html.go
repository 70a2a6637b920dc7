package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/show/chart"
	"github.com/backend-showdown/showdown/internal/showdown"
)

var (
	//go:embed load.html.tmpl
	loadText string
	//go:embed load.css
	loadCSS string

	loadLayout = template.Must(template.Must(layout.Clone()).New("load").Parse(loadText))
)

// loadView is what the page's template reads: words and drawings, no figures.
type loadView struct {
	Policy string
	Style  template.CSS
	Script template.JS
	JSON   template.JS

	Test           *LoadTest
	Headline, Lead string
	When           string
	Banner         *fact
	Sections       []anchor
	Verdict        string
	Checks         []check
	Facts          []fact

	TimesTitle string
	Times      table
	Notes      []string
	Curve      *drawing
	OverTime   []*drawing

	Errors   string
	Failures table
	Requests table
	Method   string
}

// WriteHTML writes the test as one file that loads nothing and that a strict
// content security policy guards.
func (t *LoadTest) WriteHTML(w io.Writer) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode load test: %w", err)
	}
	style := chart.CSS + pageCSS + loadCSS
	v := &loadView{
		Policy: policy(style, pageJS), Style: template.CSS(style), Script: template.JS(pageJS), JSON: template.JS(raw),
		Test: t, Headline: t.headline(), Lead: t.lead(), When: time.Unix(0, t.Start).UTC().Format("2 January 2006, 15:04 MST"),
		Banner: t.banner(), Verdict: t.verdict(), Checks: t.checks(), Facts: t.facts(),
		TimesTitle: "Latency", Times: t.timesGrid(), Notes: t.notes(), Curve: t.curveChart(), OverTime: t.overTime(),
		Errors: t.errors(), Failures: t.failureGrid(), Requests: t.requestGrid(), Method: loadMethods[t.Loop],
	}
	if t.Loop == ClosedLoop {
		v.TimesTitle = "Answer time"
	}
	v.Sections = v.sections()
	var b bytes.Buffer // nothing is written of a page that cannot be finished
	if err := loadLayout.Execute(&b, v); err != nil {
		return fmt.Errorf("render load test: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// loadMethods say what the figures of each loop mean.
var loadMethods = map[Loop]string{
	OpenLoop: "Open loop: requests are sent when they are due, whatever the server does, and latency counts from that moment. " +
		"A server that stalls cannot hide the requests that would have come meanwhile. Service time counts from the actual send and hides that wait.",
	ClosedLoop: "Closed loop: each client sends when it has its answer. That finds the saturation, the most that the server does for so many clients. " +
		"Its answer times say nothing about what users would see, because a slow server is asked less often.",
	Listening: "Nothing was sent but what opens a connection. Every event or message that arrived counts; a connection that ended was opened again and counts as failed.",
}

func (v *loadView) sections() []anchor {
	as := []anchor{{"trust", "Trust"}, {"times", v.TimesTitle}}
	if len(v.OverTime) > 0 {
		as = append(as, anchor{"seconds", "Over time"})
	}
	as = append(as, anchor{"errors", "Failures"})
	if len(v.Requests.Rows) > 0 {
		as = append(as, anchor{"requests", "Requests"})
	}
	return append(as, anchor{"method", "How to read it"}, anchor{"data", "Raw data"})
}

// headline writes "p99 1.21 ms at 2.00k/s".
func (t *LoadTest) headline() string {
	l := &t.Load.Latency
	switch {
	case t.Load.OK == 0:
		return "No good answer"
	case t.Loop == ClosedLoop:
		return t.Rate.String() + " at saturation, " + showdown.Plural(t.Settings.Connections, "client")
	case t.Loop == Listening:
		return t.Rate.String() + " on " + showdown.Plural(t.Settings.Connections, "connection")
	}
	best := timeColumns[0] // the median, if nothing more is supported
	for _, c := range timeColumns {
		if c.quantile <= min(l.Resolved, .99) {
			best = c
		}
	}
	at := "at " + t.Offered.String()
	if t.Settings.Ramp != "" {
		at = "while the rate changed"
	}
	return fmt.Sprintf("%s %s ms %s", best.name, showdown.Millis(best.of(l)), at)
}

func (t *LoadTest) lead() string {
	return plain(fmt.Sprintf("%s, %s: %s in %s.", t.target(), t.loop(), t.result(), elapsed(t.Elapsed)))
}

func (t *LoadTest) banner() *fact {
	switch t.Ending {
	case Cancelled:
		return &fact{Name: "Interrupted.", Text: "The figures are of what was sent until then."}
	case GivenUp:
		return &fact{Name: "Given up.", Text: "Answers piled up: the server was past its capacity. The figures are of what was sent until then."}
	}
	return nil
}

// verdict sums the trust box up in a sentence.
func (t *LoadTest) verdict() string {
	switch {
	case t.Untrustworthy():
		return "Read with care: the figures may not be what they seem."
	case len(t.Warnings) > 0:
		return "Nothing that would overturn the figures was found; see the warnings."
	}
	return "The generator had room to spare; no warnings."
}

// checks are what the generator says about itself.
func (t *LoadTest) checks() []check {
	c, g := &t.Load, &t.Generator
	doubted := func(kinds ...showdown.WarningKind) bool {
		return slices.ContainsFunc(t.Warnings, func(w LoadWarning) bool { return slices.Contains(kinds, w.Kind) })
	}
	of := "of its CPU at most; near 100% it would be the limit"
	if g.Threads == 0 {
		of = "of all CPUs; near 100% it would be the limit"
	}
	checks := []check{{Name: "Generator busy", Value: percent(g.Busiest), Note: of, Good: !doubted(showdown.WarnGenerator)}}
	if t.Loop == OpenLoop {
		checks = append(checks,
			check{Name: "Sent late", Value: millis(c.Lag.P99.Seconds()), Note: "p99, by the generator itself", Good: !doubted(showdown.WarnLag)},
			check{Name: "Sent", Value: sentShare(c), Note: "of what was due", Good: !doubted(WarnRate, WarnUnsent, WarnGivenUp)})
	}
	if c.Verified > 0 {
		wrong := c.Failures[showdown.FailBody]
		checks = append(checks, check{Name: "Answers verified", Value: count(c.Verified), Note: count(wrong) + " were wrong", Good: wrong == 0})
	}
	return checks
}

// sentShare writes the share of the due requests that were sent; 100% is all of them.
func sentShare(c *LoadCounts) string {
	if c.Sent >= c.Due {
		return "100%"
	}
	return fmt.Sprintf("%.2f%%", math.Floor(1e4*float64(c.Sent)/float64(c.Due))/100)
}

// facts say what was asked for.
func (t *LoadTest) facts() []fact {
	s, g := &t.Settings, &t.Generator
	facts := []fact{
		{Name: "Request", Text: t.target(), Code: true},
		{Name: "Load", Text: t.loop()},
		{Name: "Protocol", Text: t.Protocol},
		{Name: "Connections", Text: connections(s, t.Load.Opened)},
		{Name: "Timeout", Text: s.Timeout.String()},
		{Name: "Engine", Text: g.words()},
	}
	for _, more := range []struct {
		given bool
		fact  fact
	}{
		{s.Length > 0, fact{Name: "Length", Text: s.Length.String()}},
		{s.Count > 0, fact{Name: "Requests", Text: "at most " + count(s.Count)}},
		{s.GiveUp > 0, fact{Name: "Give up", Text: "when a request goes unanswered for " + s.GiveUp.String()}},
		{s.Slot > 0, fact{Name: "Slots", Text: "requests are sent together at multiples of " + s.Slot.String()}},
		{s.ReadRate > 0, fact{Name: "Reading", Text: "at most " + s.ReadRate.String() + "/s on each connection"}},
		{s.Expect != "", fact{Name: "Expected", Text: fmt.Sprintf("%s, in %s of the answers", s.Expect, percent(s.Sample))}},
		{s.Arrivals == "random" || s.Expect != "", fact{Name: "Seed", Text: strconv.FormatUint(s.Seed, 10)}},
	} {
		if more.given {
			facts = append(facts, more.fact)
		}
	}
	return facts
}

func connections(s *LoadSettings, opened int) string {
	if s.MaxConnections > s.Connections {
		return fmt.Sprintf("%d at first, at most %d; %d opened", s.Connections, s.MaxConnections, opened)
	}
	return fmt.Sprintf("%d; %d opened", s.Connections, opened)
}

func (t *LoadTest) timesGrid() table {
	g := table{Head: heads("ms")}
	for _, c := range timeColumns {
		g.Head = append(g.Head, head{c.name, true})
	}
	for _, r := range t.times() {
		cells := []string{r.name}
		for _, c := range timeColumns {
			cells = append(cells, c.cell(r.of))
		}
		g.Rows = append(g.Rows, cells)
	}
	return g
}

// notes say from when each row of the table of times counts.
func (t *LoadTest) notes() []string {
	var notes []string
	for _, r := range t.times() {
		notes = append(notes, r.name+": "+r.note)
	}
	return notes
}

// curveChart draws the distributions of the table, but for the generator's own lateness.
func (t *LoadTest) curveChart() *drawing {
	c := chart.Lines{
		Title: "Percentiles",
		X:     chart.Axis{Label: "percentile", Scale: chart.Nines, Format: quantile},
		Y:     chart.Axis{Label: "ms (log)", Scale: chart.Log, Format: trim},
	}
	g := table{Head: heads("percentile")}
	for _, r := range t.times() {
		if r.of == &t.Load.Lag || len(r.of.Curve) == 0 {
			continue
		}
		s := chart.Series{Name: r.name}
		g.Head = append(g.Head, head{r.name + ", ms", true})
		for i, p := range r.of.Curve {
			if p.Quantile > 0 { // the fastest answer says little and would take much room
				s.Points = append(s.Points, chart.Point{X: p.Quantile, Y: p.Value.Seconds() * 1e3, Text: millis(p.Value.Seconds())})
			}
			if len(g.Rows) <= i {
				g.Rows = append(g.Rows, append([]string{quantile(p.Quantile)}, slices.Repeat([]string{none}, len(g.Head)-2)...))
			}
			g.Rows[i] = append(g.Rows[i], showdown.Millis(p.Value))
		}
		for i := range g.Rows { // a curve may be shorter than the one before
			g.Rows[i] = append(g.Rows[i], slices.Repeat([]string{none}, len(g.Head)-len(g.Rows[i]))...)
		}
		c.Series = append(c.Series, s)
	}
	c.Desc = "A line that stays flat to the right treats its slowest requests like the others."
	return draw("curve-chart", c, "", g)
}

// overTime draws what each second brought.
func (t *LoadTest) overTime() []*drawing {
	if len(t.Seconds) < 2 {
		return nil
	}
	seconds := chart.Axis{Label: "seconds since the start", Format: trim}
	rates := chart.Lines{
		Title: "Answers a second", Desc: "The rate of good answers over time.",
		X: seconds, Y: chart.Axis{Label: "good answers a second", Format: rateTick},
		Series: []chart.Series{{Name: "ok"}},
	}
	if t.Loop == OpenLoop {
		rates.Series = append(rates.Series, chart.Series{Name: "due"})
	}
	times := chart.Lines{
		Title: "Latency over time", Desc: "Median, p99 and maximum of each second.",
		X: seconds, Y: chart.Axis{Label: "ms (log)", Scale: chart.Log, Format: trim},
		Series: []chart.Series{{Name: "max"}, {Name: "p99"}, {Name: "p50"}},
	}
	rateGrid := table{Head: heads("second", "due", "ok", "failed", "in flight", "connections", "received")}
	timeGrid := table{Head: heads("second", "p50, ms", "p99, ms", "max, ms", "sent late p99, ms")}
	for i := range t.Seconds {
		s := &t.Seconds[i]
		at, length := trim(math.Round(s.At.Seconds()*10)/10), max(s.Length, 1).Seconds()
		rateGrid.Rows = append(rateGrid.Rows, []string{
			at, count(s.Due), count(s.OK), count(s.Failed()), strconv.Itoa(s.InFlight), strconv.Itoa(s.Connections), showdown.Bytes(s.Bytes).String(),
		})
		timeGrid.Rows = append(timeGrid.Rows, []string{at, showdown.Millis(s.P50), showdown.Millis(s.P99), showdown.Millis(s.Max), showdown.Millis(s.LagP99)})
		point := func(y float64, text string) chart.Point {
			return chart.Point{X: s.At.Seconds() + length/2, Y: y, Text: text}
		}
		rates.Series[0].Points = append(rates.Series[0].Points, point(float64(s.Rate()), s.Rate().String()))
		if t.Loop == OpenLoop {
			due := showdown.Rate(float64(s.Due) / length)
			rates.Series[1].Points = append(rates.Series[1].Points, point(float64(due), due.String()))
		}
		for j, d := range []time.Duration{s.Max, s.P99, s.P50} {
			times.Series[j].Points = append(times.Series[j].Points, point(d.Seconds()*1e3, millis(d.Seconds())))
		}
	}
	drawings := []*drawing{draw("rate-chart", rates, "The rate of good answers, second by second.", rateGrid)}
	if t.Loop == OpenLoop {
		drawings = append(drawings, draw("latency-chart", times, "From the intended send. Where seconds were merged, the worst of them.", timeGrid))
	}
	return slices.DeleteFunc(drawings, func(d *drawing) bool { return d == nil })
}

// draw makes a drawing of lines; nil if there is nothing to draw.
func draw(id string, c chart.Lines, caption string, g table) *drawing {
	size := func(suffix string, width, height float64) template.HTML {
		c.ID, c.Width, c.Height = id+suffix, width, height
		return c.SVG()
	}
	d := &drawing{ID: id, Title: c.Title, Caption: caption, Table: g, Wide: size("-wide", wide, 340), Narrow: size("-narrow", narrow, 300)}
	if d.Wide == "" {
		return nil
	}
	return d
}

func (t *LoadTest) errors() string {
	c := &t.Load
	if c.Failed == 0 {
		return "None: every request got a good answer."
	}
	return fmt.Sprintf("%s of %s. Percentiles are of good answers only, so they do not show what these users waited.", count(c.Failed), count(c.Due))
}

func (t *LoadTest) failureGrid() table {
	g := table{Head: heads("failure", "requests")}
	for _, kind := range t.failureKinds() {
		g.Rows = append(g.Rows, []string{string(kind), count(t.Load.Failures[kind])})
	}
	return g
}

// requestGrid lists the requests where there are several.
func (t *LoadTest) requestGrid() table {
	g := table{Head: []head{{"request", false}, {"share", true}}}
	if len(t.Requests) > 1 {
		for _, r := range t.Requests {
			g.Rows = append(g.Rows, []string{strings.TrimSpace(r.Method + " " + r.URL), percent(r.Share)})
		}
	}
	return g
}
