package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with its confidence limits. With fewer than two
// values there are no limits, and Lo and Hi are both equal to Mid.
type Interval struct {
	Lo  float64 `json:"lo"`
	Mid float64 `json:"mid"`
	Hi  float64 `json:"hi"`
	N   int     `json:"n"` // values it rests on
}

// Known reports whether the interval has limits.
func (i Interval) Known() bool { return i.N >= 2 }

// HalfWidth is half the interval's width relative to its estimate: 0.021 for ±2.1%.
func (i Interval) HalfWidth() float64 {
	if i.Mid == 0 {
		return 0
	}
	return (i.Hi - i.Lo) / 2 / i.Mid
}

// GeoMean estimates the geometric mean of positive values with Student's t
// limits on their logarithms, at the given confidence such as 0.95.
func GeoMean(values []float64, confidence float64) Interval {
	return meanOf(logs(values), confidence).exp()
}

// Comparison is the outcome of holding two paired series against each other.
type Comparison struct {
	Ratio Interval `json:"ratio"` // of the first to the second, geometric mean over pairs
	P     float64  `json:"p"`     // two-sided, of the paired t test on log ratios; 1 with fewer than two pairs
}

// Compare holds a against b, pair by pair: both hold positive values, and
// a[i] was measured beside b[i]. Pairing removes what both had in common, such
// as a machine that drifts from block to block.
//
// Note: Mann–Whitney on unpaired runs was dropped. On a drifting machine it
// calls identical stacks different in most experiments (METHOD.md §3).
func Compare(a, b []float64, confidence float64) Comparison {
	if len(a) != len(b) {
		panic("stats: Compare needs pairs")
	}
	d := logs(a)
	for i, v := range logs(b) {
		d[i] -= v
	}
	return Comparison{Ratio: meanOf(d, confidence).exp(), P: pairedP(d)}
}

func pairedP(d []float64) float64 {
	if len(d) < 2 {
		return 1
	}
	mean, sd := stat.MeanStdDev(d, nil)
	switch {
	case sd > 0:
		t := mean / (sd / math.Sqrt(float64(len(d))))
		return 2 * distuv.StudentsT{Sigma: 1, Nu: float64(len(d) - 1)}.CDF(-math.Abs(t))
	case mean == 0:
		return 1
	default:
		return 0
	}
}

func meanOf(x []float64, confidence float64) Interval {
	switch len(x) {
	case 0:
		return Interval{Lo: math.NaN(), Mid: math.NaN(), Hi: math.NaN()}
	case 1:
		return Interval{Lo: x[0], Mid: x[0], Hi: x[0], N: 1}
	}
	mean, sd := stat.MeanStdDev(x, nil)
	n := float64(len(x))
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile((1+confidence)/2) * sd / math.Sqrt(n)
	return Interval{Lo: mean - half, Mid: mean, Hi: mean + half, N: len(x)}
}

func (i Interval) exp() Interval {
	return Interval{Lo: math.Exp(i.Lo), Mid: math.Exp(i.Mid), Hi: math.Exp(i.Hi), N: i.N}
}

func logs(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.Log(v)
	}
	return out
}

// Holm corrects p values for having made several tests: the returned values
// may be held against the level that the whole family is to keep.
// Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case p[i] < p[j]:
			return -1
		case p[i] > p[j]:
			return 1
		}
		return 0
	})
	adjusted, floor := make([]float64, len(p)), 0.0
	for k, i := range order {
		floor = max(floor, min(1, float64(len(p)-k)*p[i]))
		adjusted[i] = floor
	}
	return adjusted
}
