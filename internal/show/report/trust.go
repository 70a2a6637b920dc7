package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// trust is what a reader weighs before believing a run: counts and extremes of
// what its bouts recorded, over every window but the warm-ups.
type trust struct {
	Busy      float64       // of the generator
	Lag       time.Duration // p99 by which requests were sent late
	Steal     float64
	StealMean float64
	Foreign   float64 // CPUs
	Verified  uint64  // answers recomputed
	Wrong     uint64  // answers that broke the contract
	Bouts     int
	Failed    int
	Windows   int
	Doubts    []doubt
}

// doubt is one kind of warning and how often it was given.
type doubt struct {
	Kind  showdown.WarningKind
	Count int
	Text  string   // of the first
	Whom  []string // contenders
}

func (d *Document) trust() trust {
	var t trust
	for i := range d.Run.Bouts {
		b := &d.Run.Bouts[i]
		t.Bouts++
		if b.Failure != nil {
			t.Failed++
		}
		for _, w := range b.Warnings {
			t.doubt(b.Contender, w)
		}
		for j := range b.Windows {
			if b.Windows[j].Kind != showdown.Warmup {
				t.window(&b.Windows[j])
			}
		}
	}
	if t.Windows > 0 {
		t.StealMean /= float64(t.Windows)
	}
	slices.SortStableFunc(t.Doubts, func(a, b doubt) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	return t
}

func (t *trust) window(w *showdown.Window) {
	t.Windows++
	t.Busy = max(t.Busy, w.GeneratorBusy)
	t.Lag = max(t.Lag, w.Load.LagP99)
	t.Steal = max(t.Steal, w.Climate.Steal)
	t.StealMean += w.Climate.Steal
	t.Foreign = max(t.Foreign, w.Climate.Foreign)
	t.Verified += w.Load.Verified
	t.Wrong += w.Load.Failures[showdown.FailBody]
}

func (t *trust) doubt(contender string, w showdown.Warning) {
	i := slices.IndexFunc(t.Doubts, func(d doubt) bool { return d.Kind == w.Kind })
	if i < 0 {
		i, t.Doubts = len(t.Doubts), append(t.Doubts, doubt{Kind: w.Kind, Text: w.Text})
	}
	t.Doubts[i].Count++
	if !slices.Contains(t.Doubts[i].Whom, contender) {
		t.Doubts[i].Whom = append(t.Doubts[i].Whom, contender)
	}
}

// doubted reports whether a warning of any of these kinds was given.
func (t *trust) doubted(kinds ...showdown.WarningKind) bool {
	return slices.ContainsFunc(t.Doubts, func(d doubt) bool { return slices.Contains(kinds, d.Kind) })
}

// check is one line of a run's own examination.
type check struct {
	Name  string
	Value string
	Note  string // what it means
	Good  bool   // no warning was given about it
}

// checks are the lines of the trust box, those that were measured first.
func (t *trust) checks(d *Document) []check {
	var checks []check
	if t.Windows > 0 {
		checks = t.measured()
	}
	blocks := check{
		Name: "Blocks", Value: strconv.Itoa(d.Ranking.Blocks), Note: "rounds in which contenders met, in random order",
		Good: d.Ranking.Blocks > 1 && !t.doubted(showdown.WarnFewBlocks),
	}
	bouts := check{
		Name: "Bouts", Value: fmt.Sprintf("%d, %d failed", t.Bouts, t.Failed),
		Note: "each a fresh process", Good: t.Failed == 0,
	}
	return append(checks, blocks, bouts)
}

func (t *trust) measured() []check {
	return []check{
		{
			Name: "Generator busy", Value: percent(t.Busy), Note: "of its CPU at most; near 100% it would be the limit",
			Good: !t.doubted(showdown.WarnGenerator, showdown.WarnGeneratorOnly),
		},
		{
			Name: "Sent late", Value: millis(t.Lag.Seconds()), Note: "p99 of the worst window",
			Good: !t.doubted(showdown.WarnLag),
		},
		{
			Name: "Steal", Value: percent(t.Steal), Note: percent(t.StealMean) + " on average; CPU time that the hypervisor took",
			Good: !t.doubted(showdown.WarnSteal),
		},
		{
			Name: "Foreign CPU", Value: fmt.Sprintf("%.2f", t.Foreign), Note: "CPUs at most that other programs used",
			Good: !t.doubted(showdown.WarnForeign),
		},
		{
			Name: "Answers verified", Value: count(t.Verified), Note: count(t.Wrong) + " answers were wrong",
			Good: t.Wrong == 0,
		},
	}
}
