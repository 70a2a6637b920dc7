package report

import (
	"fmt"
	"slices"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// SchemaID names the form of a [Document]. Within one version fields may be
// added; none is removed, renamed or given another meaning.
const SchemaID = "showdown.results/1"

// Document is a run and what was decided about it: the output of --format json.
type Document struct {
	Schema  string       `json:"schema"`
	Run     showdown.Run `json:"run"`
	Ranking rank.Ranking `json:"ranking"`
	Curves  []rank.Curve `json:"curves"` // latency distributions at the common rate
	Sweeps  []rank.Sweep `json:"sweeps"` // latency against offered load

	Conditions rank.Conditions `json:"conditions"`
}

// New ranks a run's contenders and gathers their curves. It fails only if a
// stored histogram cannot be read.
func New(run showdown.Run) (*Document, error) {
	names := make([]string, 0, len(run.Contenders))
	for i := range run.Contenders {
		names = append(names, run.Contenders[i].Name)
	}
	curves, err := rank.Curves(names, run.Bouts)
	if err != nil {
		return nil, fmt.Errorf("report run %s: %w", run.ID, err)
	}
	return &Document{
		Schema:     SchemaID,
		Run:        run,
		Ranking:    rank.Rank(names, run.Bouts),
		Curves:     curves,
		Sweeps:     rank.Sweeps(names, run.Bouts),
		Conditions: rank.Examine(run.Bouts),
	}, nil
}

// ranked are the standings that have a rank, best first.
func (d *Document) ranked() []rank.Standing {
	return slices.DeleteFunc(slices.Clone(d.Ranking.Standings), func(s rank.Standing) bool { return !s.Ranked() })
}

// unranked are the standings that have none.
func (d *Document) unranked() []rank.Standing {
	return slices.DeleteFunc(slices.Clone(d.Ranking.Standings), func(s rank.Standing) bool { return s.Ranked() })
}

// neighbours are the pairs of contenders that stand beside each other.
func (d *Document) neighbours() []*rank.Pair {
	var pairs []*rank.Pair
	ranked := d.ranked()
	for i := 1; i < len(ranked); i++ {
		if p := d.Ranking.Pair(ranked[i-1].Contender, ranked[i].Contender); p != nil {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// commonRate is the rate that every contender got, or 0.
func (d *Document) commonRate() showdown.Rate {
	for i := range d.Ranking.Standings {
		if r := d.Ranking.Standings[i].Common.Rate; r > 0 {
			return r
		}
	}
	return 0
}

// contender finds what the record keeps of the one with that name.
func (d *Document) contender(name string) *showdown.Contender {
	for i := range d.Run.Contenders {
		if c := &d.Run.Contenders[i]; c.Name == name {
			return c
		}
	}
	return &showdown.Contender{Name: name}
}
