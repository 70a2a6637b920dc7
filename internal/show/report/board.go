package report

import (
	"strconv"

	"github.com/backend-showdown/showdown/internal/decide/rank"
)

// board is the leaderboard.
type board struct {
	Head []boardHead
	Rows []boardRow
}

type boardHead struct {
	Name, Small string
	Numeric     bool
}

// boardRow is one contender's line. It is parted from the one above if the two
// are proven to differ.
type boardRow struct {
	Parted bool
	Cells  []cell
}

type cell struct {
	Text    string
	Small   string // behind the text
	Sort    string // a number to sort by, or empty to sort by the text
	Numeric bool
	Strong  bool
}

func (d *Document) board() board {
	ranked := d.ranked()
	b := board{Head: []boardHead{
		{"rank", "", true},
		{"contender", "", false},
		{"capacity", "at the objective", true},
		{"interval", "95%", true},
		{"p99", "at " + d.commonRate().String(), true},
		{"memory", "mean/peak", true},
		{"CPU", "per request", true},
		{"start-up", "", true},
	}}
	for i := range ranked {
		s := &ranked[i]
		row := boardRow{Cells: d.boardCells(s)}
		if i > 0 {
			p := d.Ranking.Pair(ranked[i-1].Contender, s.Contender)
			row.Parted = p != nil && p.Verdict == rank.Faster
		}
		b.Rows = append(b.Rows, row)
	}
	return b
}

func (d *Document) boardCells(s *rank.Standing) []cell {
	number := func(text string, sort float64) cell {
		return cell{Text: text, Sort: strconv.FormatFloat(sort, 'g', -1, 64), Numeric: true}
	}
	return []cell{
		number(ranks(s), float64(s.First)),
		{Text: s.Contender, Strong: true, Small: d.contender(s.Contender).Language},
		number(figure(s.Capacity, rate), s.Capacity.Mid),
		number(plusMinus(s.Capacity), s.Capacity.HalfWidth()),
		number(figure(s.Common.P99, millis), s.Common.P99.Mid),
		number(meanPeak(&s.Loaded), s.Loaded.MemoryMean.Mid),
		number(figure(s.Loaded.CPUPerRequest, millis), s.Loaded.CPUPerRequest.Mid),
		number(figure(s.Ready, millis), s.Ready.Mid),
	}
}
