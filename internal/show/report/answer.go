package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Answer is what a run says, in words: lines of plain text, which every view
// escapes in its own way.
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
	switch len(ranked) {
	case 0:
		a.Headline, a.Reasons = "No contender could be ranked", d.failures(3)
	case 1:
		a.Headline = fmt.Sprintf("%s serves %s", ranked[0].Contender, d.atObjective(&ranked[0]))
		a.Reasons = append(alone(&ranked[0]), d.failures(1)...)
	default:
		first := leaders(ranked)
		rest := ranked[len(first):]
		a.Headline, a.RunnerUp = d.headline(first), d.runnerUp(first, rest)
		both := slices.Concat(first, rest)
		a.Reasons = d.reasons(&both[0], &both[1])
	}
	a.Headline, a.RunnerUp, a.Change = plain(a.Headline), plain(a.RunnerUp), plain(a.Change)
	for i, r := range a.Reasons {
		a.Reasons[i] = plain(r)
	}
	return a
}

// leaders are those that nobody beat, the one with the highest measured capacity first.
func leaders(ranked []rank.Standing) []rank.Standing {
	first := slices.DeleteFunc(slices.Clone(ranked), func(s rank.Standing) bool { return s.First > 1 })
	slices.SortStableFunc(first, func(a, b rank.Standing) int { return cmp.Compare(b.Capacity.Mid, a.Capacity.Mid) })
	return first
}

func (d *Document) headline(first []rank.Standing) string {
	switch lead := &first[0]; {
	case len(first) == 1 && lead.Last == 1:
		return fmt.Sprintf("%s has the most capacity: %s", lead.Contender, d.atObjective(lead))
	case len(first) == 1:
		return fmt.Sprintf("%s leads with %s, but not for certain", lead.Contender, d.atObjective(lead))
	case len(first) <= 3:
		return "First place is undecided between " + list(names(first))
	default:
		return fmt.Sprintf("First place is undecided among %d contenders", len(first))
	}
}

// runnerUp tells who follows the first, who stand apart from the rest.
func (d *Document) runnerUp(first, rest []rank.Standing) string {
	text := ""
	if len(first) > 1 {
		text = fmt.Sprintf("%s measured the most, %s, but %s not prove it. ",
			first[0].Contender, rate(first[0].Capacity.Mid), blocksDo(d.Ranking.Blocks))
	}
	if len(rest) == 0 {
		return strings.TrimSpace(text)
	}
	next := slices.DeleteFunc(slices.Clone(rest), func(s rank.Standing) bool {
		return s.First != rest[0].First || s.Last != rest[0].Last
	})
	if len(next) > 1 {
		return text + fmt.Sprintf("%s follow, tied (rank %s).", list(names(next)), ranks(&next[0]))
	}
	return text + fmt.Sprintf("%s comes next with %s (rank %s).", next[0].Contender, rate(next[0].Capacity.Mid), ranks(&next[0]))
}

// atObjective writes "29.9k/s at p99 ≤ 50 ms".
func (d *Document) atObjective(s *rank.Standing) string {
	return rate(s.Capacity.Mid) + " at " + objective(d.Run.Plan.Objective)
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
	text := fmt.Sprintf("This holds for %s at %s", scenario(p), objective(p.Objective))
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

// blocksDo writes "1 block does" or "5 blocks do".
func blocksDo(n int) string {
	if n == 1 {
		return "1 block does"
	}
	return showdown.Plural(n, "block") + " do"
}

func names(standings []rank.Standing) []string {
	all := make([]string, len(standings))
	for i := range standings {
		all[i] = standings[i].Contender
	}
	return all
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
