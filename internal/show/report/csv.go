package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// column is one figure of a contender: its name with the unit, and how to find it.
// An empty text means that it was not measured.
type column struct {
	name string
	of   func(*rank.Standing, *showdown.Contender) string
}

var csvColumns = []column{
	{"contender", func(s *rank.Standing, _ *showdown.Contender) string { return inert(s.Contender) }},
	{"language", func(_ *rank.Standing, c *showdown.Contender) string { return inert(c.Language) }},
	{"framework", func(_ *rank.Standing, c *showdown.Contender) string { return inert(c.Framework) }},
	{"versions", func(_ *rank.Standing, c *showdown.Contender) string { return inert(versions(c)) }},
	{"rank_first", func(s *rank.Standing, _ *showdown.Contender) string { return place(s.First) }},
	{"rank_last", func(s *rank.Standing, _ *showdown.Contender) string { return place(s.Last) }},
	{"capacity_per_second", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Capacity) }},
	{"capacity_lo_per_second", func(s *rank.Standing, _ *showdown.Contender) string { return lo(s.Capacity) }},
	{"capacity_hi_per_second", func(s *rank.Standing, _ *showdown.Contender) string { return hi(s.Capacity) }},
	{"blocks", func(s *rank.Standing, _ *showdown.Contender) string { return strconv.Itoa(s.Capacity.N) }},
	{"common_rate_per_second", func(s *rank.Standing, _ *showdown.Contender) string { return positive(float64(s.Common.Rate)) }},
	{"p50_at_common_seconds", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Common.P50) }},
	{"p90_at_common_seconds", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Common.P90) }},
	{"p99_at_common_seconds", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Common.P99) }},
	{"p999_at_common_seconds", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Common.P999) }},
	{"p99_at_capacity_seconds", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Loaded.P99) }},
	{"cpu_at_capacity_seconds_per_request", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Loaded.CPUPerRequest) }},
	{"memory_mean_at_capacity_bytes", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Loaded.MemoryMean) }},
	{"memory_peak_at_capacity_bytes", func(s *rank.Standing, _ *showdown.Contender) string { return positive(float64(s.Loaded.MemoryPeak)) }},
	{"start_up_seconds", func(s *rank.Standing, _ *showdown.Contender) string { return mid(s.Ready) }},
	{"requests", func(s *rank.Standing, _ *showdown.Contender) string {
		return strconv.FormatUint(s.Common.Requests+s.Loaded.Requests, 10)
	}},
	{"failed_requests", func(s *rank.Standing, _ *showdown.Contender) string {
		return strconv.FormatUint(s.Common.Failed+s.Loaded.Failed, 10)
	}},
	{"no_rank_because", func(s *rank.Standing, _ *showdown.Contender) string { return inert(s.Unranked) }},
}

// WriteCSV writes one row a contender, best first, below a header that names the units.
func (d *Document) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	header := make([]string, len(csvColumns))
	for i, c := range csvColumns {
		header[i] = c.name
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for i := range d.Ranking.Standings {
		s := &d.Ranking.Standings[i]
		c, row := d.contender(s.Contender), make([]string, len(csvColumns))
		for j, column := range csvColumns {
			row[j] = column.of(s, c)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// inert keeps a spreadsheet from taking a contender's text for a formula.
// Source: OWASP, "CSV Injection".
func inert(s string) string {
	if s = plain(s); strings.IndexAny(s, "=+-@") == 0 {
		return "'" + s
	}
	return s
}

func mid(i stats.Interval) string { return positive(i.Mid) }

func lo(i stats.Interval) string {
	if !i.Known() {
		return ""
	}
	return positive(i.Lo)
}

func hi(i stats.Interval) string {
	if !i.Known() {
		return ""
	}
	return positive(i.Hi)
}

// positive writes a measured amount with six digits. Nothing that is measured is zero.
func positive(v float64) string {
	if v <= 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func place(rank int) string {
	if rank == 0 {
		return ""
	}
	return strconv.Itoa(rank)
}
