package rank

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Quantiles is the grid on which latency distributions are drawn: evenly spaced
// on the axis of "one request in so many".
var Quantiles = []float64{0, .25, .5, .75, .9, .95, .975, .99, .995, .9975, .999, .9995, .9999}

// Curve is one contender's latency distribution at the common rate.
type Curve struct {
	Contender string  `json:"contender"`
	Points    []Point `json:"points"`
}

// Point is a latency at a quantile, the geometric mean over blocks.
type Point struct {
	Quantile float64 `json:"quantile"`
	Seconds  float64 `json:"seconds"`
}

// Step is one window of the capacity search, or one measured at a known rate.
type Step struct {
	Offered showdown.Rate `json:"offered"`
	P50     float64       `json:"p50_seconds"`
	P99     float64       `json:"p99_seconds"`
	Met     bool          `json:"met"`
	Block   int           `json:"block"`
}

// Sweep is what one contender's latency did as the offered load rose, over all blocks.
type Sweep struct {
	Contender string `json:"contender"`
	Steps     []Step `json:"steps"` // by rate
}

// Curves draws each contender's distribution at the common rate. Quantiles that
// fewer than ten requests of a block lie beyond are left out: they would show
// single requests.
func Curves(contenders []string, bouts []showdown.Bout) ([]Curve, error) {
	var curves []Curve
	for _, name := range contenders {
		perQuantile := make([][]float64, len(Quantiles))
		for i := range bouts {
			b := &bouts[i]
			w := b.Window(showdown.AtCommon)
			if b.Contender != name || b.Phase != showdown.Block || w == nil || len(w.Histo) == 0 {
				continue
			}
			h, err := hdrhistogram.Decode(w.Histo)
			if err != nil {
				return nil, fmt.Errorf("decode latencies of %s in block %d: %w", name, b.Block, err)
			}
			for q, quantile := range Quantiles {
				if n := float64(h.TotalCount()); n-n*quantile >= 10 {
					perQuantile[q] = append(perQuantile[q], float64(max(1, h.ValueAtQuantile(100*quantile)))/1e9)
				}
			}
		}
		c := Curve{Contender: name}
		for q, values := range perQuantile {
			if len(values) > 0 {
				c.Points = append(c.Points, Point{Quantile: Quantiles[q], Seconds: stats.GeoMean(values, Confidence).Mid})
			}
		}
		if len(c.Points) > 0 {
			curves = append(curves, c)
		}
	}
	return curves, nil
}

// Sweeps gathers each contender's windows by offered rate. Aborted windows have
// no latency that could be believed and are left out.
func Sweeps(contenders []string, bouts []showdown.Bout) []Sweep {
	var sweeps []Sweep
	for _, name := range contenders {
		s := Sweep{Contender: name}
		for i := range bouts {
			b := &bouts[i]
			if b.Contender != name || b.Phase != showdown.Block {
				continue
			}
			for j := range b.Windows {
				w := &b.Windows[j]
				if w.Kind == showdown.Warmup || w.Load.Aborted || w.Load.OK == 0 {
					continue
				}
				s.Steps = append(s.Steps, Step{
					Offered: w.Offered, Met: w.Met, Block: b.Block,
					P50: w.Load.Latency.P50.Seconds(), P99: w.Load.Latency.P99.Seconds(),
				})
			}
		}
		slices.SortStableFunc(s.Steps, func(a, b Step) int { return cmp.Compare(a.Offered, b.Offered) })
		if len(s.Steps) > 0 {
			sweeps = append(sweeps, s)
		}
	}
	return sweeps
}
