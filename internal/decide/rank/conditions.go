package rank

import (
	"cmp"
	"slices"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Conditions is what a reader weighs before believing a run: extremes and counts
// of what its bouts recorded. The extremes are of the windows that count; the
// warm-up and the capacity search go past the contenders' limits on purpose.
type Conditions struct {
	GeneratorBusy float64       `json:"generator_busy"` // highest share of its processors
	LagP99        time.Duration `json:"lag_p99_ns"`     // highest p99 by which requests were sent late
	Steal         float64       `json:"steal"`          // highest share of CPU time that the hypervisor took
	StealMean     float64       `json:"steal_mean"`
	Foreign       float64       `json:"foreign_cpu"` // most processors that other programs used
	Windows       int           `json:"windows"`     // that count
	Verified      uint64        `json:"verified"`    // answers recomputed, in all windows
	Wrong         uint64        `json:"wrong"`       // of these
	Bouts         int           `json:"bouts"`
	Failed        int           `json:"failed"` // bouts
	Doubts        []Doubt       `json:"doubts,omitempty"`
}

// Doubt is one kind of warning, and how often and about whom it was given.
type Doubt struct {
	Kind       showdown.WarningKind `json:"kind"`
	Count      int                  `json:"count"`
	Text       string               `json:"text"` // of the first
	Contenders []string             `json:"contenders"`
}

// Examine gathers the conditions under which bouts were played.
func Examine(bouts []showdown.Bout) Conditions {
	var c Conditions
	for i := range bouts {
		b := &bouts[i]
		c.Bouts++
		if b.Failure != nil {
			c.Failed++
		}
		for _, w := range b.Warnings {
			c.doubt(b.Contender, w)
		}
		for j := range b.Windows {
			c.window(&b.Windows[j])
		}
	}
	if c.Windows > 0 {
		c.StealMean /= float64(c.Windows)
	}
	slices.SortStableFunc(c.Doubts, func(a, b Doubt) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	return c
}

func (c *Conditions) window(w *showdown.Window) {
	c.Verified += w.Load.Verified
	c.Wrong += w.Load.Failures[showdown.FailBody]
	if w.Kind != showdown.AtCapacity && w.Kind != showdown.AtCommon {
		return
	}
	c.Windows++
	c.GeneratorBusy = max(c.GeneratorBusy, w.GeneratorBusy)
	c.LagP99 = max(c.LagP99, w.Load.LagP99)
	c.Steal = max(c.Steal, w.Climate.Steal)
	c.StealMean += w.Climate.Steal
	c.Foreign = max(c.Foreign, w.Climate.Foreign)
}

func (c *Conditions) doubt(contender string, w showdown.Warning) {
	i := slices.IndexFunc(c.Doubts, func(d Doubt) bool { return d.Kind == w.Kind })
	if i < 0 {
		i, c.Doubts = len(c.Doubts), append(c.Doubts, Doubt{Kind: w.Kind, Text: w.Text})
	}
	c.Doubts[i].Count++
	if !slices.Contains(c.Doubts[i].Contenders, contender) {
		c.Doubts[i].Contenders = append(c.Doubts[i].Contenders, contender)
	}
}

// Doubted reports whether a warning of any of these kinds was given.
func (c *Conditions) Doubted(kinds ...showdown.WarningKind) bool {
	return slices.ContainsFunc(c.Doubts, func(d Doubt) bool { return slices.Contains(kinds, d.Kind) })
}
