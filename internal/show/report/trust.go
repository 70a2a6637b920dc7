package report

import (
	"fmt"
	"strconv"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// check is one line of a run's own examination.
type check struct {
	Name  string
	Value string
	Note  string // what it means
	Good  bool   // no warning was given about it
}

// checks are the lines of the trust box, those that were measured first.
func (d *Document) checks() []check {
	c := &d.Conditions
	var checks []check
	if c.Windows > 0 {
		checks = measured(c)
	}
	blocks := check{
		Name: "Blocks", Value: strconv.Itoa(d.Ranking.Blocks), Note: "rounds in which contenders met, in random order",
		Good: d.Ranking.Blocks > 1,
	}
	bouts := check{
		Name: "Bouts", Value: fmt.Sprintf("%d, %d failed", c.Bouts, c.Failed),
		Note: "each a fresh process", Good: c.Failed == 0,
	}
	return append(checks, blocks, bouts)
}

func measured(c *rank.Conditions) []check {
	return []check{
		{
			Name: "Generator busy", Value: percent(c.GeneratorBusy), Note: "of its CPU at most; near 100% it would be the limit",
			Good: !c.Doubted(showdown.WarnGenerator),
		},
		{
			Name: "Sent late", Value: millis(c.LagP99.Seconds()), Note: "p99 of the worst window",
			Good: !c.Doubted(showdown.WarnLag),
		},
		{
			Name: "Steal", Value: percent(c.Steal), Note: percent(c.StealMean) + " on average; CPU time that the hypervisor took",
			Good: !c.Doubted(showdown.WarnSteal),
		},
		{
			Name: "Foreign CPU", Value: fmt.Sprintf("%.2f", c.Foreign), Note: "CPUs at most that other programs used",
			Good: !c.Doubted(showdown.WarnForeign),
		},
		{
			Name: "Answers verified", Value: count(c.Verified), Note: count(c.Wrong) + " answers were wrong",
			Good: c.Wrong == 0,
		},
	}
}
