package report

import (
	"fmt"
	"strings"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Answer is what a run says, in words. Each part is one or more whole sentences
// without markup; names in it are the contenders' own and not escaped.
type Answer struct {
	Headline string
	Reasons  []string // up to three, with figures
	RunnerUp string   // who comes next, or who is tied; empty with fewer than two ranked
	Change   string   // what would change the answer
}

// Answer puts the ranking into words.
func (d *Document) Answer() Answer {
	ranked := d.ranked()
	a := Answer{Change: d.change()}
	switch {
	case len(ranked) == 0:
		a.Headline = "No contender could be ranked"
		a.Reasons = d.failures(3)
	case len(ranked) == 1:
		a.Headline = fmt.Sprintf("%s serves %s at %s", ranked[0].Contender, showdown.Rate(ranked[0].Capacity.Mid), objective(d.Run.Plan.Objective))
		a.Reasons = append(alone(&ranked[0]), d.failures(1)...)
	default:
		a.Headline, a.RunnerUp = d.headline(ranked), d.runnerUp(ranked)
		a.Reasons = d.reasons(&ranked[0], &ranked[1])
	}
	return a
}

func (d *Document) headline(ranked []rank.Standing) string {
	leaders, lead := leaders(ranked), &ranked[0]
	switch {
	case !d.Ranking.Decided:
		return fmt.Sprintf("No order is proven among %d contenders", len(ranked))
	case len(leaders) > 1:
		return fmt.Sprintf("%s share first place", list(leaders))
	case lead.Last > 1:
		return fmt.Sprintf("%s leads with %s at %s, but not for certain",
			lead.Contender, showdown.Rate(lead.Capacity.Mid), objective(d.Run.Plan.Objective))
	default:
		return fmt.Sprintf("%s has the most capacity: %s at %s",
			lead.Contender, showdown.Rate(lead.Capacity.Mid), objective(d.Run.Plan.Objective))
	}
}

func (d *Document) runnerUp(ranked []rank.Standing) string {
	leaders := leaders(ranked)
	switch {
	case !d.Ranking.Decided:
		return fmt.Sprintf("All are tied. %s measured the highest capacity, by no more than chance could explain.", ranked[0].Contender)
	case len(leaders) > 1 && len(leaders) < len(ranked):
		next := &ranked[len(leaders)]
		return fmt.Sprintf("%s comes next with %s (rank %s).", next.Contender, showdown.Rate(next.Capacity.Mid), ranks(next))
	case len(leaders) > 1:
		return "The evidence orders only some of the pairs."
	}
	var tied []string
	for _, s := range ranked[1:] {
		if s.First == ranked[1].First {
			tied = append(tied, s.Contender)
		}
	}
	if len(tied) > 1 {
		return fmt.Sprintf("%s follow, tied (rank %s).", list(tied), ranks(&ranked[1]))
	}
	return fmt.Sprintf("%s is the runner-up with %s (rank %s).", ranked[1].Contender, showdown.Rate(ranked[1].Capacity.Mid), ranks(&ranked[1]))
}

// reasons hold the first against the second, on capacity and on what is only described.
func (d *Document) reasons(a, b *rank.Standing) []string {
	var reasons []string
	if p := d.Ranking.Pair(a.Contender, b.Contender); p != nil {
		reasons = append(reasons, p.Sentence()+basis(p)+".")
	}
	if a.Common.P99.N > 0 && b.Common.P99.N > 0 {
		reasons = append(reasons, fmt.Sprintf("At %s for every contender, p99 is %s for %s and %s for %s.",
			d.commonRate(), millis(a.Common.P99.Mid), a.Contender, millis(b.Common.P99.Mid), b.Contender))
	}
	if a.Loaded.CPUPerRequest.N > 0 && b.Loaded.CPUPerRequest.N > 0 {
		reasons = append(reasons, fmt.Sprintf("At its capacity %s takes %s of CPU a request and %s of memory, %s %s and %s.",
			a.Contender, millis(a.Loaded.CPUPerRequest.Mid), showdown.Bytes(a.Loaded.MemoryMean.Mid),
			b.Contender, millis(b.Loaded.CPUPerRequest.Mid), showdown.Bytes(b.Loaded.MemoryMean.Mid)))
	}
	return reasons
}

// alone describes the only contender that has a rank.
func alone(s *rank.Standing) []string {
	reasons := []string{"It is the only one ranked, so there is nothing to hold it against."}
	if s.Capacity.Known() {
		reasons[0] = fmt.Sprintf("Its capacity lies in %s to %s with 95%% confidence. %s",
			showdown.Rate(s.Capacity.Lo), showdown.Rate(s.Capacity.Hi), reasons[0])
	}
	if s.Loaded.CPUPerRequest.N > 0 {
		reasons = append(reasons, fmt.Sprintf("At its capacity it takes %s of CPU a request and %s of memory.",
			millis(s.Loaded.CPUPerRequest.Mid), showdown.Bytes(s.Loaded.MemoryMean.Mid)))
	}
	return reasons
}

// failures are the first few reasons for having no rank.
func (d *Document) failures(most int) []string {
	var reasons []string
	for _, s := range d.unranked() {
		if len(reasons) < most {
			reasons = append(reasons, fmt.Sprintf("%s: %s.", s.Contender, strings.TrimSuffix(s.Unranked, ".")))
		}
	}
	return reasons
}

func (d *Document) change() string {
	p := &d.Run.Plan
	text := fmt.Sprintf("This holds for %s at %s", scenario(p.Scenario), objective(p.Objective))
	if n := len(p.Cores.Contender); n > 0 {
		text += " on " + showdown.Plural(n, "CPU")
	}
	text += " of this machine; another scenario, objective or number of CPUs may order them differently."
	if d.tied() {
		text += fmt.Sprintf(" More blocks may part those that are tied (this run has %d).", d.Ranking.Blocks)
	}
	return text
}

func (d *Document) tied() bool {
	for i := range d.Ranking.Standings {
		if s := &d.Ranking.Standings[i]; s.First != s.Last {
			return true
		}
	}
	return false
}

// leaders are the names of those that nobody beat.
func leaders(ranked []rank.Standing) []string {
	var names []string
	for _, s := range ranked {
		if s.First == 1 {
			names = append(names, s.Contender)
		}
	}
	return names
}

func basis(p *rank.Pair) string {
	if !p.Result.Ratio.Known() {
		return ""
	}
	return fmt.Sprintf(" (95%% interval over %s)", showdown.Plural(p.Result.Ratio.N, "block"))
}

func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
