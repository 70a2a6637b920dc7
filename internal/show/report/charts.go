package report

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/show/chart"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Widths of a drawing on a desk and on a telephone.
const (
	wide   = 880
	narrow = 358
)

// drawing is a chart and the table of what it shows.
type drawing struct {
	ID, Title    string
	Caption      string
	Wide, Narrow template.HTML
	Table        table
}

// table is a grid of text. Numeric columns are set to the right.
type table struct {
	Head []head
	Rows [][]string
}

type head struct {
	Name    string
	Numeric bool
}

// heads names columns; all but the first hold numbers.
func heads(names ...string) []head {
	hs := make([]head, len(names))
	for i, n := range names {
		hs[i] = head{n, i > 0}
	}
	return hs
}

// bars draws one figure of every contender that has it, in the order of the ranking.
type bars struct {
	id, title, axis, caption string
	of                       func(*rank.Standing) stats.Interval
	reach                    func(*rank.Standing) float64 // or nil
	reachName                string
	scale                    float64 // from the figure to the axis
	tick                     func(float64) string
	write                    func(float64) string
}

func (d *Document) bars(b bars) *drawing {
	c := chart.Bars{Title: b.title, Label: b.axis, Format: b.tick}
	t := table{Head: heads("contender", b.title, "95% interval", "blocks")}
	if b.reach != nil {
		t.Head = append(t.Head, head{b.reachName, true})
	}
	for i := range d.Ranking.Standings {
		s := &d.Ranking.Standings[i]
		v := b.of(s)
		if v.N == 0 {
			continue
		}
		row := chart.Bar{Label: s.Contender, Value: v.Mid * b.scale, Lo: v.Lo * b.scale, Hi: v.Hi * b.scale, Note: b.write(v.Mid)}
		cells := []string{s.Contender, b.write(v.Mid), bounds(v, b.write), strconv.Itoa(v.N)}
		if b.reach != nil {
			row.Reach = b.reach(s) * b.scale
			row.Note = meanPeak(&s.Loaded)
			cells = append(cells, b.write(b.reach(s)))
		}
		c.Rows, t.Rows = append(c.Rows, row), append(t.Rows, cells)
	}
	if len(c.Rows) == 0 {
		return nil
	}
	c.Desc = fmt.Sprintf("Bars for %s, the first %s.", showdown.Plural(len(c.Rows), "contender"), c.Rows[0].Label+" with "+c.Rows[0].Note)
	draw := func(id string, width float64) template.HTML {
		c.ID, c.Width = id, width
		return c.SVG()
	}
	return &drawing{ID: b.id, Title: b.title, Caption: b.caption, Table: t, Wide: draw(b.id+"-wide", wide), Narrow: draw(b.id+"-narrow", narrow)}
}

func (d *Document) capacityChart() *drawing {
	return d.bars(bars{
		id: "capacity-chart", title: "Capacity at " + objective(d.Run.Plan.Objective), axis: "requests per second",
		caption: "Bars are means over blocks, each a fresh process; whiskers are their 95% intervals.",
		of:      func(s *rank.Standing) stats.Interval { return s.Capacity },
		scale:   1, tick: rateTick, write: rate,
	})
}

func (d *Document) cpuChart() *drawing {
	return d.bars(bars{
		id: "cpu-chart", title: "CPU per request at capacity", axis: "CPU time per good answer, ms",
		caption: "User and system time of the whole process tree. Less is better.",
		of:      func(s *rank.Standing) stats.Interval { return s.Loaded.CPUPerRequest },
		scale:   1e3, tick: trim, write: millis,
	})
}

func (d *Document) memoryChart() *drawing {
	kind := "memory"
	for i := range d.Ranking.Standings {
		if k := d.Ranking.Standings[i].Loaded.MemoryKind; k != "" {
			kind = k
			break
		}
	}
	return d.bars(bars{
		id: "memory-chart", title: "Memory at capacity", axis: kind + " of the whole process tree, MB",
		caption: "Bars are the mean with its 95% interval, dashed outlines the highest of all blocks. Less is better.",
		of:      func(s *rank.Standing) stats.Interval { return s.Loaded.MemoryMean },
		reach:   func(s *rank.Standing) float64 { return float64(s.Loaded.MemoryPeak) }, reachName: "peak",
		scale: 1.0 / (1 << 20), tick: trim, write: memory,
	})
}

func (d *Document) readyChart() *drawing {
	return d.bars(bars{
		id: "ready-chart", title: "Start-up", axis: "process start to first healthy answer, ms",
		caption: "Caches of the operating system are warm. Less is better.",
		of:      func(s *rank.Standing) stats.Interval { return s.Ready },
		scale:   1e3, tick: trim, write: millis,
	})
}

// curveChart draws the latency distributions at the common rate.
func (d *Document) curveChart() *drawing {
	c := chart.Lines{
		Title: "Latency percentiles at " + d.commonRate().String(),
		X:     chart.Axis{Label: "percentile of requests", Scale: chart.Nines, Format: quantile},
		Y:     chart.Axis{Label: "latency, ms (log)", Scale: chart.Log, Format: trim},
	}
	t := table{Head: heads("contender")}
	for _, q := range rank.Quantiles {
		t.Head = append(t.Head, head{quantile(q) + ", ms", true})
	}
	for _, curve := range d.byRank() {
		s := chart.Series{Name: curve.Contender}
		cells := append([]string{curve.Contender}, make([]string, len(rank.Quantiles))...)
		for _, p := range curve.Points {
			if p.Quantile > 0 { // the fastest request says little and would take much room
				s.Points = append(s.Points, chart.Point{X: p.Quantile, Y: p.Seconds * 1e3, Text: millis(p.Seconds)})
			}
			for i, q := range rank.Quantiles {
				if q == p.Quantile {
					cells[i+1] = bareMillis(p.Seconds)
				}
			}
		}
		c.Series, t.Rows = append(c.Series, s), append(t.Rows, cells)
	}
	if len(c.Series) == 0 {
		return nil
	}
	c.Desc = fmt.Sprintf("Lines for %s; lower is better, and a line that stays flat to the right treats its slowest requests like the others.",
		showdown.Plural(len(c.Series), "contender"))
	draw := func(id string, width, height float64) template.HTML {
		c.ID, c.Width, c.Height = id, width, height
		return c.SVG()
	}
	return &drawing{
		ID: "curve-chart", Title: c.Title, Table: t,
		Caption: "From the moment a request was due, so waiting for a slow server counts. Each point is the geometric mean over blocks; tails of fewer than ten requests are not drawn.",
		Wide:    draw("curve-wide", wide, 400), Narrow: draw("curve-narrow", narrow, 360),
	}
}

// byRank are the curves in the order of the ranking.
func (d *Document) byRank() []rank.Curve {
	var curves []rank.Curve
	for i := range d.Ranking.Standings {
		for _, c := range d.Curves {
			if c.Contender == d.Ranking.Standings[i].Contender {
				curves = append(curves, c)
			}
		}
	}
	return curves
}

// sweepChart draws what p99 does as the offered load rises.
func (d *Document) sweepChart() *drawing {
	o := d.Run.Plan.Objective
	c := chart.Panels{
		Title: "p99 against offered load",
		X:     chart.Axis{Label: "offered requests per second (log)", Scale: chart.Log, Format: rateTick},
		Y:     chart.Axis{Label: "p99, ms (log)", Scale: chart.Log, Format: trim},
		Limit: &chart.Limit{Y: o.Latency.Seconds() * 1e3, Label: "objective: " + objective(o)},
	}
	t := table{Head: heads("contender", "block", "offered per second", "p50, ms", "p99, ms", "met the objective")}
	for i := range d.Ranking.Standings {
		s := &d.Ranking.Standings[i]
		for _, sweep := range d.Sweeps {
			if sweep.Contender != s.Contender {
				continue
			}
			c.Panels = append(c.Panels, chart.Panel{Name: s.Contender, Note: figure(s.Capacity, rate), Strands: strands(sweep.Steps)})
			for _, step := range sweep.Steps {
				t.Rows = append(t.Rows, sweepRow(s.Contender, &step))
			}
		}
	}
	if len(c.Panels) == 0 {
		return nil
	}
	c.Desc = fmt.Sprintf("One panel for each of %s; a line that bends up further right carries more load.", showdown.Plural(len(c.Panels), "contender"))
	draw := func(id string, width float64) template.HTML {
		c.ID, c.Width = id, width
		return c.SVG()
	}
	return &drawing{
		ID: "sweep-chart", Title: c.Title, Table: t,
		Caption: "One line a block; hollow marks missed the objective; grey lines are the other contenders. The figure beside a name is its capacity.",
		Wide:    draw("sweep-wide", wide), Narrow: draw("sweep-narrow", narrow),
	}
}

func sweepRow(contender string, s *rank.Step) []string {
	met := "no"
	if s.Met {
		met = "yes"
	}
	return []string{contender, strconv.Itoa(s.Block), trim(math.Round(float64(s.Offered))), bareMillis(s.P50), bareMillis(s.P99), met}
}

// strands parts the steps by block, in the order of the blocks.
func strands(steps []rank.Step) [][]chart.Point {
	byBlock := map[int][]chart.Point{}
	for _, s := range steps {
		byBlock[s.Block] = append(byBlock[s.Block], chart.Point{X: float64(s.Offered), Y: s.P99 * 1e3, Open: !s.Met, Text: millis(s.P99)})
	}
	var all [][]chart.Point
	for _, block := range slices.Sorted(maps.Keys(byBlock)) {
		all = append(all, byBlock[block])
	}
	return all
}

// rateTick writes 20000 as "20k".
func rateTick(v float64) string {
	switch {
	case v >= 1e6:
		return trim(v/1e6) + "M"
	case v >= 1e3:
		return trim(v/1e3) + "k"
	}
	return trim(v)
}
