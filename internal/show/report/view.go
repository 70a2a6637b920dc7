package report

import (
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/show/chart"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// view is what the page's template reads: words and drawings, no figures.
type view struct {
	Policy    string
	Style     template.CSS
	Script    template.JS
	JSON, CSV template.JS

	Doc        *Document
	Answer     Answer
	Scenario   string
	When       string
	Unfinished bool
	Sections   []anchor

	Verdict  string
	Trust    *rank.Conditions
	Checks   []check
	Failures []failure
	Facts    []fact

	Board     board
	Sentences []string
	Unranked  []rank.Standing

	Parts      []part
	Errors     table
	Contenders []card

	Objective, ErrorRate, Level string
	Glossary                    []fact
}

// anchor is a section to jump to.
type anchor struct{ ID, Title string }

// fact is a name and what it stands for.
type fact struct {
	Name, Text string
	Code       bool
}

// part is a section made of drawings.
type part struct {
	ID, Title, Lead string
	Drawings        []*drawing
}

// failure is a bout that could not be played to its end.
type failure struct {
	Contender string
	Where     string
	Failure   *showdown.BoutFailure
}

func (d *Document) view() (*view, error) {
	document, csv, err := d.data()
	if err != nil {
		return nil, err
	}
	p, style := &d.Run.Plan, chart.CSS+pageCSS
	v := &view{
		Policy: policy(style, pageJS), Style: template.CSS(style), Script: template.JS(pageJS), JSON: document, CSV: csv,
		Doc: d, Answer: d.Answer(), Scenario: scenario(p),
		When: d.Run.Started.UTC().Format("2 January 2006, 15:04 MST"), Unfinished: d.Run.Status != showdown.Over,
		Verdict: d.verdict(), Trust: &d.Conditions, Checks: d.checks(), Failures: d.failedBouts(), Facts: d.facts(),
		Board: d.board(), Unranked: d.unranked(),
		Parts: d.parts(), Errors: d.errors(), Contenders: d.cards(),
		Objective: objective(p.Objective), ErrorRate: trim(100*p.Objective.ErrorRate) + "%", Level: percent(rank.Level),
		Glossary: glossary,
	}
	for _, pair := range d.neighbours() {
		v.Sentences = append(v.Sentences, plain(pair.Sentence()))
	}
	v.Sections = v.sections()
	return v, nil
}

func (v *view) sections() []anchor {
	as := []anchor{{"trust", "Trust"}, {"leaderboard", "Leaderboard"}}
	for _, p := range v.Parts {
		as = append(as, anchor{p.ID, p.Title})
	}
	return append(as, anchor{"errors", "Errors"}, anchor{"contenders", "Contenders"}, anchor{"method", "Method"}, anchor{"data", "Raw data"})
}

// parts are the sections of drawings that have data.
func (d *Document) parts() []part {
	parts := []part{
		{
			ID: "capacity", Title: "Capacity",
			Lead:     "The highest rate that each contender kept up at " + objective(d.Run.Plan.Objective) + ".",
			Drawings: []*drawing{d.capacityChart()},
		},
		{
			ID: "latency", Title: "Latency",
			Lead:     "How long answers take when every contender gets the same load, and what happens as the load rises.",
			Drawings: []*drawing{d.curveChart(), d.sweepChart()},
		},
		{
			ID: "resources", Title: "CPU, memory and start-up",
			Lead:     "What the work costs. These figures are described, not ranked.",
			Drawings: []*drawing{d.cpuChart(), d.memoryChart(), d.readyChart()},
		},
	}
	for i := range parts {
		parts[i].Drawings = slices.DeleteFunc(parts[i].Drawings, func(g *drawing) bool { return g == nil })
	}
	return slices.DeleteFunc(parts, func(p part) bool { return len(p.Drawings) == 0 })
}

func (d *Document) failedBouts() []failure {
	var failures []failure
	for i := range d.Run.Bouts {
		b := &d.Run.Bouts[i]
		if b.Failure == nil {
			continue
		}
		where := string(b.Phase)
		if b.Phase == showdown.Block {
			where += " " + strconv.Itoa(b.Block)
		}
		failures = append(failures, failure{b.Contender, where, b.Failure})
	}
	return failures
}

// verdict sums the trust box up in a sentence or two.
func (d *Document) verdict() string {
	c := &d.Conditions
	bad := 0
	for _, k := range d.checks() {
		if !k.Good {
			bad++
		}
	}
	switch {
	case c.Windows == 0:
		return "Nothing was measured, so there is nothing to trust yet."
	case bad == 0 && len(c.Doubts) == 0:
		return "Quiet machine, generator with room to spare, no warnings."
	case bad == 0:
		return fmt.Sprintf("Nothing that would overturn the order was found; %s below.", warnings(len(c.Doubts)))
	default:
		return fmt.Sprintf("Read with care: %s below.", strings.TrimPrefix(warnings(len(c.Doubts)), "no warnings but "))
	}
}

func warnings(kinds int) string {
	if kinds == 0 {
		return "no warnings but the marked lines"
	}
	return showdown.Plural(kinds, "kind") + " of warning"
}

// facts say where and how the run took place.
func (d *Document) facts() []fact {
	r, p := &d.Run, &d.Run.Plan
	return []fact{
		{Name: "Command", Text: quoted(r.Command), Code: true},
		{Name: "Machine", Text: machine(&r.Machine)},
		{Name: "CPUs", Text: cores(&p.Cores)},
		{Name: "Plan", Text: fmt.Sprintf("preset %s, %s, seed %d", p.Preset, showdown.Plural(p.Blocks, "block"), p.Seed)},
		{Name: "Timing", Text: fmt.Sprintf("%s warm-up, %s for each step of the search, %s for each measured window",
			p.Timing.Warmup, p.Timing.Probe, p.Timing.Measure)},
		{Name: "Connections", Text: fmt.Sprintf("%d open before the load starts, at most %d", p.Connection.Open, p.Connection.Max)},
		{Name: "Duration", Text: d.duration()},
	}
}

func (d *Document) duration() string {
	if d.Run.Finished.IsZero() {
		return "not finished"
	}
	return showdown.Clock(d.Run.Finished.Sub(d.Run.Started))
}

func cores(c *showdown.CPUPlan) string {
	text := "contender on " + cpus(c.Contender) + ", generator on " + cpus(c.Generator)
	if c.Shared {
		return text + ": they share"
	}
	return text + ": kept apart"
}

func cpus(ids []int) string {
	if len(ids) == 0 {
		return "any CPU"
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = strconv.Itoa(id)
	}
	return "CPU " + list(names)
}

// errors counts what went wrong, contender by contender and at each kind of rate.
func (d *Document) errors() table {
	t := table{Head: heads("contender", "at", "requests", "failed", "kinds", "verified")}
	t.Head[1].Numeric, t.Head[4].Numeric = false, false
	for i := range d.Ranking.Standings {
		s := &d.Ranking.Standings[i]
		for _, at := range []struct {
			name  string
			costs *rank.Costs
		}{{"common rate", &s.Common}, {"capacity", &s.Loaded}} {
			if at.costs.Requests > 0 {
				t.Rows = append(t.Rows, []string{
					s.Contender, at.name, count(at.costs.Requests), count(at.costs.Failed), kinds(at.costs.ErrorKinds), count(at.costs.Verified),
				})
			}
		}
	}
	return t
}

// kinds writes "2 timeout, 1 reset" in the order of printing.
func kinds(errors map[string]int64) string {
	var parts []string
	for _, f := range showdown.Failures {
		if n := errors[string(f)]; n > 0 {
			parts = append(parts, count(uint64(n))+" "+string(f))
		}
	}
	if len(parts) == 0 {
		return none
	}
	return strings.Join(parts, ", ")
}

// link is an address and how it is shown. Only a safe one becomes a hyperlink.
type link struct {
	URL, Text string
	Safe      bool
}

// linkTo takes http and https for safe and shows anything else as text.
func linkTo(address string) *link {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return &link{Text: plain(address)}
	}
	return &link{URL: u.String(), Text: plain(u.Host), Safe: true}
}
