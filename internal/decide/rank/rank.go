package rank

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Level is the chance of any false "faster" among all pairs of a run, and
// Confidence belongs to each printed interval on its own.
const (
	Level      = 0.05
	Confidence = 0.95
)

// Ranking is the outcome of a run for one scenario.
type Ranking struct {
	Standings []Standing `json:"standings"` // best first
	Pairs     []Pair     `json:"pairs"`     // every pair once, the one with more capacity as A
	Blocks    int        `json:"blocks"`    // that some ranked contender finished
	Decided   bool       `json:"decided"`   // whether at least one pair was separated
}

// Standing is where one contender came out.
type Standing struct {
	Contender string         `json:"contender"`
	First     int            `json:"rank_first"` // best rank that the evidence allows, from 1; 0 if unranked
	Last      int            `json:"rank_last"`  // worst rank that it allows
	Capacity  stats.Interval `json:"capacity"`   // requests per second at the objective
	Common    Costs          `json:"at_common_rate"`
	Loaded    Costs          `json:"at_capacity"`
	Ready     stats.Interval `json:"ready_seconds"`
	Unranked  string         `json:"unranked,omitempty"` // why it has no rank
}

// Ranked reports whether the contender has a rank.
func (s *Standing) Ranked() bool { return s.Unranked == "" }

// Costs describes the windows at one kind of rate over all blocks. Latencies are
// geometric means of each block's quantile: histograms of different processes
// are never pooled.
type Costs struct {
	Rate          showdown.Rate    `json:"rate"` // mean offered rate
	CPUPerRequest stats.Interval   `json:"cpu_seconds_per_request"`
	MemoryMean    stats.Interval   `json:"memory_mean_bytes"`
	MemoryPeak    showdown.Bytes   `json:"memory_peak_bytes"` // highest of all blocks
	MemoryKind    string           `json:"memory_kind"`
	P50           stats.Interval   `json:"p50_seconds"`
	P90           stats.Interval   `json:"p90_seconds"`
	P99           stats.Interval   `json:"p99_seconds"`
	P999          stats.Interval   `json:"p999_seconds"`
	Max           float64          `json:"max_seconds"` // of all blocks
	Requests      uint64           `json:"requests"`
	Failed        uint64           `json:"failed"`
	Verified      uint64           `json:"verified"`
	ErrorKinds    map[string]int64 `json:"error_kinds,omitempty"`
}

// Verdict says what a pair's evidence allows.
type Verdict string

// The verdicts on a pair.
const (
	Faster       Verdict = "faster"        // A has more capacity than B
	NotSeparated Verdict = "not separated" // the blocks so far do not tell
)

// Pair holds A against B.
type Pair struct {
	A       string           `json:"a"`
	B       string           `json:"b"`
	Result  stats.Comparison `json:"result"`
	HolmP   float64          `json:"p_holm"` // corrected for all pairs of the run
	Verdict Verdict          `json:"verdict"`
}

// Sentence tells a pair's outcome: "axum serves 1.4–1.6× as much as gin".
func (p *Pair) Sentence() string {
	r := p.Result.Ratio
	if p.Verdict != Faster {
		if !r.Known() {
			return fmt.Sprintf("%s and %s are not separated: one block tells nothing about chance", p.A, p.B)
		}
		if r.Lo > 1 {
			return fmt.Sprintf("%s and %s are not separated: %s× alone, but chance among all pairs could explain it", p.A, p.B, span(r))
		}
		return fmt.Sprintf("%s and %s are not separated (%s×)", p.A, p.B, span(r))
	}
	return fmt.Sprintf("%s serves %s× as much as %s", p.A, span(r), p.B)
}

// span writes an interval with just enough digits that its ends differ, and
// that neither reads as 1 when the interval excludes it.
func span(r stats.Interval) string {
	excludesOne := r.Lo > 1 || r.Hi < 1
	for digits := 1; digits < 4; digits++ {
		write := func(v float64) string { return fmt.Sprintf("%.*f", digits, v) }
		lo, hi, one := write(r.Lo), write(r.Hi), write(1)
		if lo != hi && !(excludesOne && (lo == one || hi == one)) {
			return lo + "–" + hi
		}
	}
	return fmt.Sprintf("%.2f–%.2f", r.Lo, r.Hi)
}

// Rank orders the contenders, given in the plan's order, by the block bouts.
// A contender with a failed bout, or with a block in which no rate met the
// objective, is listed behind the others without a rank.
func Rank(contenders []string, bouts []showdown.Bout) Ranking {
	series := map[string]*history{}
	for _, name := range contenders {
		series[name] = &history{capacity: map[int]float64{}}
	}
	for i := range bouts {
		if h := series[bouts[i].Contender]; h != nil {
			h.add(&bouts[i])
		}
	}

	var ranking Ranking
	var ranked []string
	for _, name := range contenders {
		h := series[name]
		ranking.Standings = append(ranking.Standings, h.standing(name))
		if h.unranked() == "" {
			ranked = append(ranked, name)
			ranking.Blocks = max(ranking.Blocks, len(h.capacity))
		}
	}
	ranking.Pairs = compareAll(ranked, series)
	ranking.place()
	return ranking
}

// compareAll holds every pair against each other on the blocks that both played.
func compareAll(names []string, series map[string]*history) (pairs []Pair) {
	var ps []float64
	for i, a := range names {
		for _, b := range names[i+1:] {
			p, met := comparePair(a, b, series[a], series[b])
			if !met {
				continue
			}
			pairs, ps = append(pairs, p), append(ps, p.Result.P)
		}
	}
	for i, holm := range stats.Holm(ps) {
		pairs[i].HolmP, pairs[i].Verdict = holm, NotSeparated
		if holm < Level {
			pairs[i].Verdict = Faster
		}
	}
	return pairs
}

// comparePair is false when the two never met in a block.
func comparePair(a, b string, ha, hb *history) (p Pair, met bool) {
	var x, y []float64
	for _, block := range ha.blocks() {
		if other, ok := hb.capacity[block]; ok {
			x, y = append(x, ha.capacity[block]), append(y, other)
		}
	}
	if len(x) == 0 {
		return p, false
	}
	if c := stats.Compare(x, y, Confidence); c.Ratio.Mid >= 1 {
		return Pair{A: a, B: b, Result: c}, true
	}
	return Pair{A: b, B: a, Result: stats.Compare(y, x, Confidence)}, true
}

// place gives each standing its interval of ranks, [1 + how many beat it,
// K − how many it beats], and sorts by it.
func (r *Ranking) place() {
	beats, beaten, k := map[string]int{}, map[string]int{}, 0
	for i := range r.Pairs {
		if p := &r.Pairs[i]; p.Verdict == Faster {
			beats[p.A]++
			beaten[p.B]++
			r.Decided = true
		}
	}
	for i := range r.Standings {
		if r.Standings[i].Ranked() {
			k++
		}
	}
	for i := range r.Standings {
		if s := &r.Standings[i]; s.Ranked() {
			s.First, s.Last = 1+beaten[s.Contender], k-beats[s.Contender]
		}
	}
	slices.SortStableFunc(r.Standings, func(a, b Standing) int {
		if a.Ranked() != b.Ranked() {
			if a.Ranked() {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(b.Capacity.Mid, a.Capacity.Mid))
	})
}

// Pair finds the pair of these two, whichever came out as A; nil if not both are ranked.
func (r *Ranking) Pair(a, b string) *Pair {
	for i := range r.Pairs {
		if p := &r.Pairs[i]; p.A == a && p.B == b || p.A == b && p.B == a {
			return p
		}
	}
	return nil
}
